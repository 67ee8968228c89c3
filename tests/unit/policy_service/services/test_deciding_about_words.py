"""A call whose words must be kept goes where they can be seen, or nowhere."""

from dataclasses import replace

import pytest

from llm_core.policy.decision import CacheScope, DecisionRequest, LogLevel, Obligations, Transport
from policy_service.adapters.content_keys import ContentKeys, new_content_key
from policy_service.digests import Digests
from policy_service.services.content_log import ContentLog
from policy_service.services.relay import WholeAnswer
from tests.fakes.content import FakeContentStore, FakeRedactor
from tests.fakes.policy import FakePolicy
from tests.fakes.samples import chat_body, chat_call
from tests.unit.policy_service.services.test_answer_cache import SEARCH, Service

BODY = chat_body()
WORDS = (LogLevel.REDACTED, LogLevel.FULL)


def keeping(level: LogLevel, *, keys: ContentKeys | None, cache_seconds: int = 0) -> Service:
    """A service whose policy wants words kept at this level."""
    obligations = Obligations(
        cache_seconds=cache_seconds, cache_scope=CacheScope.TEAM, log_level=level
    )
    service = Service(policy=FakePolicy(obligations=obligations))
    log = ContentLog(
        FakeContentStore(),
        keys,
        FakeRedactor("Ada"),
        Digests.from_secret("digest-secret-0123456789"),
        most_part_bytes=10_000,
        most_waiting_bytes=1_000_000,
    )
    service.decider = replace(service.decider, content=log)
    service.relay = replace(service.relay, content=log)
    return service


async def test_full_without_a_key_is_refused_before_anything_is_sent() -> None:
    service = keeping(LogLevel.FULL, keys=None)
    made = await service.decider.decide(DecisionRequest(SEARCH, chat_call(BODY)))
    assert made.denial is not None
    assert (made.denial.status, made.ticket) == (503, "")
    assert made.denial.body["error"]["code"] == "content_log_unavailable"
    assert made.denial.headers["x-should-retry"] == "false"
    assert service.providers.hosts == []
    assert [used for used in await service.used() if used] == []


async def test_a_key_of_another_company_does_not_help() -> None:
    service = keeping(LogLevel.FULL, keys=ContentKeys({"other": new_content_key()}))
    made = await service.decider.decide(DecisionRequest(SEARCH, chat_call(BODY)))
    assert made.denial is not None


@pytest.mark.parametrize("level", list(LogLevel))
async def test_only_a_call_whose_words_are_kept_has_to_go_by_the_relay(level: LogLevel) -> None:
    service = keeping(level, keys=ContentKeys({"default": new_content_key()}))
    made = await service.decide(BODY)
    assert made.transport is (Transport.RELAY if level in WORDS else Transport.DIRECT)


@pytest.mark.parametrize("level", WORDS)
async def test_a_kept_answer_is_given_by_the_relay_which_sees_the_question(level: LogLevel) -> None:
    keys = ContentKeys({"default": new_content_key()})
    service = keeping(level, keys=keys, cache_seconds=60)
    await service.asked(BODY)
    made = await service.decide(BODY)
    assert made.transport is Transport.RELAY
    answer = await service.relayed(made, BODY)
    assert isinstance(answer, WholeAnswer)
    assert answer.headers["x-gatehouse-cache"] == "hit"
    await service.relay.drain()
    assert service.providers.hosts == ["openai.test"]
    assert [(row.cache, row.usd > 0) for row in await service.rows()] == [
        ("miss", True),
        ("hit", False),
    ]
    log = service.relay.content
    assert log is not None
    await log.finish()
    store = log.store
    assert isinstance(store, FakeContentStore)
    first, second = store.rows.values()
    assert first.response_digest == second.response_digest
    assert bool(second.sealed_answer) is (level is LogLevel.FULL)
    assert bool(second.answer) is (level is LogLevel.REDACTED)
