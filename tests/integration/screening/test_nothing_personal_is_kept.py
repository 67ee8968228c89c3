"""A real service, with everything it logs and stores: no personal data is in any of it.

Marked data goes through it whole, streamed, blocked, quoted by a provider's error, and while the
process that looks at words is killed. Then its log at the lowest level, its database, its Redis and
every error it answered are searched for the marks.
"""

import asyncio
import os
import signal
from pathlib import Path

import pytest
import redis

from llm_core.policy.decision import PiiMode
from tests.fixtures.screened import pii
from tests.fixtures.screening_service import screening_service

pytestmark = pytest.mark.integration

MAIL = "marked.person@example.org"
IBAN = "DE89 3704 0044 0532 0130 00"
NAME = "Markwart Markinger"
MARKS = ("marked.person", "marked%2eperson", "0044 0532", "DE8937040044", "Markinger")
SAID = f"Dr. {NAME} ({MAIL}) has the account {IBAN}."


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
    async with screening_service(tmp_path, redis_url) as case:
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
