"""Marked words go through a whole service with a real database and a real Redis, at every level;
then everything that either has written is searched for them.

The mark in the question and the one in the answer are plain words, `PERSON` is a name that the
redactor knows. At `redacted` the plain ones are found, which also shows that the search can find.
"""

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis
from sqlalchemy import select
from sqlalchemy.engine import make_url

from llm_core.policy.caller import Caller
from llm_core.policy.decision import Decision, DecisionRequest, LogLevel, Obligations
from llm_core.policy.roles import PLATFORM, Actor, Grant, Role
from policy_service.adapters.content_keys import new_content_key
from policy_service.adapters.sql.engine import open_engine, reading
from policy_service.adapters.sql.tables import Base
from policy_service.api.admins import current_actor
from policy_service.services.reach import Reach
from tests.fakes.content import FakeRedactor
from tests.fakes.credentials import FakeCredentials
from tests.fakes.health import FakeHealth
from tests.fakes.policy import FakePolicy
from tests.fakes.providers import FakeAnswer, FakeProviders
from tests.fakes.running_service import Api, running_service
from tests.fakes.samples import chat_body, chat_call, openai_answer, openai_events
from tests.fixtures.redis_server import RedisServer

pytestmark = pytest.mark.integration
ASKED, SAID, PERSON = "quetzalcoatl", "popocatepetl", "Xanthippe"
QUESTION = [{"role": "user", "content": f"{PERSON} saw the {ASKED}"}]
AUDITOR = Actor("user:olga", "oidc", (Grant(Role.AUDITOR, PLATFORM),))


@asynccontextmanager
async def served(
    folder: Path, level: LogLevel, database_url: str, redis_url: str
) -> AsyncIterator[Api]:
    """A service whose policy wants this level, with a provider that says the marked word."""
    async with running_service(
        folder,
        database_url=database_url,
        redis_url=redis_url,
        content_keys={"default": "content"},
        credentials={"openai": "sk-test", "content": new_content_key()},
    ) as api:
        opened = api.opened
        policy = FakePolicy(obligations=Obligations(log_level=level))
        decider = replace(opened.decider, policy=policy)
        object.__setattr__(opened, "decider", decider)
        if opened.relay.content is not None:
            object.__setattr__(opened.relay.content, "redactor", FakeRedactor(PERSON))
        yield api


async def call(api: Api, *, streams: bool) -> str:
    """One call from decision to its end; gives its id, or nothing when it went direct."""
    text = f"{PERSON} climbed the {SAID}"
    pieces = openai_events("Xan", "thippe", f" climbed the {SAID}")
    answer = FakeAnswer(pieces if streams else [openai_answer(text)])
    providers = FakeProviders({"127.0.0.1": answer})
    reach = Reach(providers, FakeCredentials({"openai": "sk-test"}), FakeHealth(), api.clock, 60)
    object.__setattr__(api.opened.relay, "reach", reach)
    body = chat_body(messages=QUESTION, stream=streams)
    caller = msgspec.convert(await api.caller(), Caller)
    asked = msgspec.json.encode(DecisionRequest(caller, chat_call(body)))
    made = msgspec.json.decode((await api.post("/v1/decisions", asked)).content, type=Decision)
    assert made.denial is None, made.denial
    headers = {"x-gatehouse-ticket": made.ticket}
    given = await api.client.post("/relay/v1/chat/completions", content=body, headers=headers)
    assert SAID in given.text
    return made.decision_id


async def in_database(url: str, word: str) -> bool:
    """Whether a word stands in any row; for SQLite also anywhere in its files."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        folder = Path(parsed.database or "").parent
        if any(word.encode() in file.read_bytes() for file in folder.glob("gatehouse.db*")):
            return True
    engine = open_engine(url)
    try:
        async with reading(engine) as connection:
            for table in Base.metadata.sorted_tables:
                rows = (await connection.execute(select(table))).all()
                if any(word in repr(tuple(row)) for row in rows):
                    return True
    finally:
        await engine.dispose()
    return False


def in_redis(url: str, word: str) -> bool:
    """Whether a word was ever written to it: it keeps a log of every write."""
    with redis.Redis.from_url(url) as client:
        folder = Path(client.config_get("dir")["dir"])
    logs = list(folder.rglob("appendonly*"))
    assert any(file.stat().st_size for file in logs if file.is_file())
    return any(word.encode() in file.read_bytes() for file in logs if file.is_file())


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("level", list(LogLevel))
async def test_words_are_found_only_where_policy_wants_them(
    *,
    level: LogLevel,
    streams: bool,
    tmp_path: Path,
    database_url: str,
    kept_redis: RedisServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with redis.Redis.from_url(kept_redis.url) as client:
        client.flushall()
    # Below it aiosqlite tells every statement with its values; nobody runs a service so.
    with caplog.at_level(logging.INFO):
        async with served(tmp_path, level, database_url, kept_redis.url) as api:
            decision_id = await call(api, streams=streams)
            await api.opened.relay.drain()
    found = {word: await in_database(database_url, word) for word in (ASKED, SAID, PERSON)}
    is_redacted = level is LogLevel.REDACTED
    assert found == {ASKED: is_redacted, SAID: is_redacted, PERSON: False}
    assert await in_database(database_url, decision_id)
    for word in (ASKED, SAID, PERSON):
        assert not in_redis(kept_redis.url, word)
        assert word not in caplog.text


async def test_an_auditor_reads_what_nobody_finds(
    tmp_path: Path, database_url: str, kept_redis: RedisServer
) -> None:
    async with served(tmp_path, LogLevel.FULL, database_url, kept_redis.url) as api:
        decision_id = await call(api, streams=True)
        await api.opened.relay.drain()
        log = api.opened.relay.content
        assert log is not None
        await log.finish()
        app: Any = api.client._transport.app  # type: ignore[attr-defined]
        app.dependency_overrides[current_actor] = lambda: AUDITOR
        answer = await api.client.get(
            f"/admin/v1/content/{decision_id}", params={"reason": "complaint 4711, as agreed"}
        )
        told = answer.json()
        assert told["question"]["messages"] == QUESTION
        said = told["answer"]["choices"][0]["message"]["content"]
        assert said == f"{PERSON} climbed the {SAID}"
        [entry] = await api.opened.audit.entries(action="content.read")
        assert json.dumps(entry.after).count(SAID) == 0
