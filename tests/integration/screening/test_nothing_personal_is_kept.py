"""A real service, with everything it logs and stores: no personal data is in any of it.

Marked data goes through it whole, streamed, blocked, quoted by a provider's error, and while the
process that looks at words is killed. Then its log at the lowest level, its database, its Redis and
every error it answered are searched for the marks.
"""

import asyncio
import json
import logging
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from fastapi import FastAPI

from llm_core.digest import canonical, sha256_hex
from llm_core.operation import Operation
from llm_core.policy.call import Call
from llm_core.policy.decision import TICKET_HEADER, DecisionRequest, Obligations, PiiMode
from policy_service.adapters.screening import ScreeningPool
from policy_service.adapters.sql.schema import migrate
from policy_service.api import relay as relay_api
from policy_service.api.wire import answer_failures
from policy_service.resources import Resources
from policy_service.settings import Settings
from policy_service.wiring import open_resources
from tests.fakes.policy import FakePolicy
from tests.fakes.samples import CALLER
from tests.fixtures.echoing import echoing
from tests.fixtures.relaying import serving
from tests.fixtures.screened import pii

pytestmark = pytest.mark.integration

MAIL = "marked.person@example.org"
IBAN = "DE89 3704 0044 0532 0130 00"
NAME = "Markwart Markinger"
MARKS = ("marked.person", "marked%2eperson", "0044 0532", "DE8937040044", "Markinger")
SAID = f"Dr. {NAME} ({MAIL}) has the account {IBAN}."


@dataclass
class Case:
    """A service, what it was asked, and what its clients were answered."""

    opened: Resources
    url: str
    log: Path
    asked: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)

    async def ask(self, said: str, obligations: Obligations, **more: Any) -> httpx.Response:
        """Decide with these obligations, and ask the relay."""
        body = {"model": "echo", "messages": [{"role": "user", "content": said}], **more}
        raw = json.dumps(body).encode()
        call = Call(
            Operation.CHAT_COMPLETIONS,
            asked_model="echo",
            is_streaming=bool(more.get("stream")),
            prompt_tokens=20,
            max_output_tokens=50,
            body_digest=sha256_hex(canonical(body)),
            body_bytes=len(raw),
        )
        decider = replace(self.opened.decider, policy=FakePolicy(obligations=obligations))
        made = await decider.decide(DecisionRequest(CALLER, call))
        assert made.denial is None
        async with httpx.AsyncClient(timeout=60) as client:
            answer = await client.post(
                f"{self.url}/relay/v1/chat/completions",
                content=raw,
                headers={TICKET_HEADER: made.ticket},
            )
        self.answers.append(answer.text)
        return answer

    @property
    def pool(self) -> ScreeningPool:
        """The processes that look at words."""
        screener = self.opened.relay.screening.screener
        assert isinstance(screener, ScreeningPool)
        return screener


@contextmanager
def everything_logged(file: Path) -> Iterator[None]:
    """Write what anybody logs, down to the lowest level, into a file."""
    root, handler = logging.getLogger(), logging.FileHandler(file)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s %(args)s"))
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.NOTSET)
    try:
        yield
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
        handler.close()


@asynccontextmanager
async def service(folder: Path, redis_url: str) -> AsyncIterator[Case]:
    asked: list[str] = []
    async with serving(echoing(asked)) as provider:
        models = {
            "models": [{
                "alias": "echo",
                "deployments": [{
                    "id": "echo", "provider": "openai", "model": "gpt-4o-mini",
                    "base_url": f"{provider}/v1", "region": "eu", "credential": "openai",
                    "max_output_tokens": 100,
                }],
            }]
        }  # fmt: skip
        (folder / "models.yaml").write_text(json.dumps(models))
        settings = Settings(
            internal_secret="internal-secret-0123456789",
            ticket_secret="ticket-secret-0123456789",
            models_file=folder / "models.yaml",
            database_url=f"sqlite+aiosqlite:///{folder}/gatehouse.db",
            redis_url=redis_url,
            credentials={"openai": "sk-echo"},
            screening_timeout_s=30.0,
        )
        with everything_logged(folder / "service.log"):
            await migrate(settings.database_url)
            async with open_resources(settings) as opened:
                app = FastAPI(routes=[*relay_api.routes])
                answer_failures(app)
                app.state.resources = opened
                async with serving(app) as url:
                    yield Case(opened, url, folder / "service.log", asked)


def _stored(folder: Path, redis_url: str) -> dict[str, str]:
    """Everything that is still there when the service has ended."""
    kept = {
        str(file.relative_to(folder)): file.read_bytes().decode(errors="replace")
        for file in folder.rglob("*")
        if file.is_file()
    }
    with redis.Redis.from_url(redis_url) as client:
        for key in client.scan_iter("*"):
            kept[f"redis {key!r}"] = repr(client.dump(key))
            kind = client.type(key).decode()
            reader = {"string": client.get, "hash": client.hgetall}.get(kind)
            if reader is not None:
                kept[f"redis {key!r} read"] = repr(reader(key))
            if kind == "stream":
                kept[f"redis {key!r} read"] = repr(client.xrange(key))
    return kept


async def test_nothing_personal_is_in_logs_errors_database_redis_or_cache_keys(
    tmp_path: Path, redis_url: str
) -> None:
    redacts = pii(PiiMode.REDACT, PiiMode.REDACT)
    async with service(tmp_path, redis_url) as case:
        whole = await case.ask(SAID, redacts)
        assert whole.json()["choices"][0]["message"]["content"] == (
            "Dr. <PERSON_1> (<EMAIL_ADDRESS_1>) has the account <IBAN_CODE_1>."
        )
        streamed = await case.ask(SAID, redacts, stream=True)
        assert "[DONE]" in streamed.text
        assert (await case.ask(SAID, pii(PiiMode.BLOCK))).status_code == 400
        assert (await case.ask(f"fail {SAID}", redacts)).status_code == 400
        assert not any(mark in said for said in case.asked for mark in MARKS)

        # From here on the provider gets the words, and repeats them.
        assert (await case.ask(SAID, pii(output=PiiMode.BLOCK))).status_code == 400
        assert (await case.ask(SAID, pii(output=PiiMode.BLOCK), stream=True)).status_code == 200
        refused = await case.ask(f"fail {SAID}", pii(output=PiiMode.REDACT))
        assert refused.status_code == 400

        [pid] = case.pool.pids
        os.kill(pid, signal.SIGSTOP)
        asking = asyncio.create_task(case.ask(SAID, redacts))
        await asyncio.sleep(0.5)
        os.kill(pid, signal.SIGKILL)
        crashed = await asking
        assert crashed.status_code == 503
        assert crashed.json()["error"]["code"] == "screening_unavailable"

        found = {f"answer {number}": text for number, text in enumerate(case.answers)}
        restored = await case.ask(SAID, pii(PiiMode.REDACT, restores=True))
        assert restored.json()["choices"][0]["message"]["content"] == SAID
        await case.opened.relay.drain()
    found |= _stored(tmp_path, redis_url)
    assert "service.log" in found
    assert "gatehouse.db" in found
    assert "screening found" in found["service.log"]
    leaks = [(name, mark) for name, text in found.items() for mark in MARKS if mark in text]
    assert leaks == []
