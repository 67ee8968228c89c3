"""Taking note keeps no call waiting, gives no words away, and loses nothing in silence."""

import asyncio
from collections.abc import Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from llm_core.audit.event import NewEvent
from llm_core.errors import PolicyUnavailable
from llm_core.operation import Operation
from llm_core.policy.caller import Caller
from llm_core.policy.decision import Decision, DecisionRequest, Reason
from llm_core.policy.limits import Limit, Measure
from policy_service.adapters.memory_spool import MemorySpool
from policy_service.digests import Digests
from policy_service.ports.audit import Noted, UnwritableEvents, Waiting
from policy_service.services.chain_writer import ChainWriter
from policy_service.services.decision_recorder import DecisionRecorder, Heard
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.policy import FakePolicy
from tests.fakes.samples import CALLER, chat_body, chat_call
from tests.unit.policy_service.services.test_decide import Service

DIGESTS = Digests(b"k" * 32)


class SharedSpool:
    """Implements `Spool`; can be away, before or after it has taken what it is given."""

    def __init__(self) -> None:
        self.waiting: list[Noted] = []
        self.is_away = False
        self.loses_answers = False
        self.came = asyncio.Event()

    async def put(self, noted: Sequence[Noted]) -> None:
        if self.is_away:
            raise PolicyUnavailable("away")
        self.waiting.extend(noted)
        self.came.set()
        if self.loses_answers:
            raise PolicyUnavailable("no answer")

    async def take(self, most: int, wait_s: float) -> Sequence[Waiting]:
        if self.is_away:
            raise PolicyUnavailable("away")
        return [Waiting(one.event.id.encode(), (one,)) for one in self.waiting[:most]]

    async def done(self, waiting: Sequence[Waiting]) -> None:
        if self.is_away:
            raise PolicyUnavailable("away")
        ids = {one.token.decode() for one in waiting}
        self.waiting = [one for one in self.waiting if one.event.id not in ids]

    def start_over(self) -> None: ...

    async def close(self) -> None: ...


class ListedChain:
    """What the writer asks of `AuditChain`, in a dict."""

    def __init__(self) -> None:
        self.events: dict[str, Noted] = {}
        self.is_away = False
        self.refuses: set[str] = set()
        self.holder: str | None = None
        self.calls = 0

    async def append(self, noted: Sequence[Noted]) -> int:
        self.calls += 1
        if self.is_away:
            raise PolicyUnavailable("away")
        if any(one.event.kind in self.refuses for one in noted):
            raise UnwritableEvents("DataError")
        before = len(self.events)
        self.events |= {one.event.id: one for one in noted if one.event.id not in self.events}
        return len(self.events) - before

    async def has_outbox(self) -> bool:
        return False

    async def hold(self, name: str, owner: str, now: Any, seconds: float) -> bool:
        if self.is_away:
            raise PolicyUnavailable("away")
        self.holder = self.holder or owner
        return self.holder == owner

    async def release(self, owner: str) -> None:
        self.holder = None if self.holder == owner else self.holder


def recorder(shared: SharedSpool | None = None, most: int = 1000) -> DecisionRecorder:
    return DecisionRecorder(MemorySpool(), shared, DIGESTS, FakeClock(), most=most)


def writer(noting: DecisionRecorder, chain: Any, owner: str = "us") -> ChainWriter:
    return ChainWriter(chain, noting.memory, noting.shared, noting, FakeClock(), owner)


async def waiting(noting: DecisionRecorder) -> list[Noted]:
    await noting.flush()
    return [one for taken in await noting.memory.take(1000, 0) for one in taken.noted or ()]


async def decided(caller: Caller = CALLER, service: Service | None = None, **fields: Any) -> Noted:
    """Decide for real, and give what was noted."""
    noting = recorder()
    decider = replace((service or Service()).decider(), recorder=noting)
    with suppress(PolicyUnavailable):
        await decider.decide(DecisionRequest(caller, chat_call(chat_body(**fields))))
    [one] = await waiting(noting)
    return one


def payload(one: Noted) -> dict[str, Any]:
    return one.event.payload


# --- what is noted of a decision


async def test_an_allowed_call_is_noted_with_what_policy_was_asked_and_said() -> None:
    one = await decided(model="mini")
    logged = one.decision
    assert logged is not None
    assert (logged.decision_id, logged.at, logged.allow, logged.codes) == ("dec_1", NOON, True, ())
    assert (logged.engine, logged.revision) == ("fake", "rev-7")
    assert logged.duration_ms >= 0
    assert logged.input is not None
    assert logged.input["call"]["asked_model"] == "mini"
    assert logged.result["permitted"] == ["openai-mini"]
    assert logged.result["outcome"] == {"allow": True, "code": "", "status": None, "codes": []}
    assert logged.refused_for is None
    assert one.event.subject == "decision:dec_1"
    assert one.event.chain == f"org:{CALLER.organisation}"
    assert payload(one)["allow"] is True
    assert payload(one)["input_digest"] == logged.input_digest
    assert "input" not in payload(one)


async def test_what_policy_denies_is_noted_with_its_codes() -> None:
    reason = Reason("model_not_allowed", "No.", "llm.models", "Ask.")
    one = await decided(service=Service(policy=FakePolicy(reasons=(reason,))), model="mini")
    assert one.decision is not None
    assert (one.decision.allow, one.decision.codes) == (False, ("model_not_allowed",))
    assert one.decision.result["reasons"] == [{"code": "model_not_allowed", "rule": "llm.models"}]
    assert (payload(one)["allow"], payload(one)["code"]) == (False, "policy_denied")
    assert one.decision.result["outcome"]["status"] == 403


async def test_what_limits_refuse_says_what_policy_said_and_what_came_of_it() -> None:
    limit = Limit("team:search", Measure.REQUESTS_PER_MINUTE, 0)  # type: ignore[arg-type]
    one = await decided(replace(CALLER, limits=(limit,)), model="mini")
    assert one.decision is not None
    assert one.decision.allow is True  # of policy: a replay asks policy again
    assert one.decision.result["outcome"]["code"] == "rate_limit_exceeded"
    assert one.decision.refused_for == "rate_limit_exceeded"
    assert payload(one)["allow"] is False
    assert payload(one)["codes"] == ["rate_limit_exceeded"]


async def test_a_key_that_is_good_for_something_else_is_noted_without_policy() -> None:
    one = await decided(replace(CALLER, operations=(Operation.EMBEDDINGS,)), model="mini")
    assert one.decision is not None
    assert (one.decision.allow, one.decision.codes) == (False, ("key_scope",))
    assert (one.decision.engine, one.decision.input, one.decision.input_digest) == ("", None, "")


async def test_a_decision_that_cannot_be_had_is_noted() -> None:
    policy = FakePolicy()
    policy.is_down = True
    one = await decided(service=Service(policy=policy), model="mini")
    assert one.decision is not None
    assert one.decision.allow is False
    assert one.decision.codes == ("policy_unavailable",)
    assert payload(one)["code"] == "policy_unavailable"
    assert one.decision.input is not None


async def test_an_unknown_model_is_noted_by_name_but_words_in_its_place_are_not() -> None:
    named, worded = await decided(model="gpt-99"), await decided(model="my card is 4111 1111")
    assert payload(named)["asked_model"] == "gpt-99"
    assert payload(worded)["asked_model"] == ""
    assert b"4111" not in msgspec.json.encode(worded)


async def test_the_bodys_digest_is_keyed_and_no_word_is_kept() -> None:
    body = chat_body(model="mini", messages=[{"role": "user", "content": "MARKED-WORD"}])
    call = chat_call(body)
    one = await decided(model="mini", messages=[{"role": "user", "content": "MARKED-WORD"}])
    assert one.decision is not None
    assert one.decision.input is not None
    kept = one.decision.input["call"]["body_digest"]
    assert kept == DIGESTS.of(CALLER.organisation, call.body_digest.encode())
    written = msgspec.json.encode(one)
    assert b"MARKED-WORD" not in written
    assert call.body_digest.encode() not in written


async def test_noting_leaves_what_the_policy_engine_was_given_alone() -> None:
    policy = FakePolicy()
    await decided(service=Service(policy=policy), model="mini")
    [document] = policy.documents
    assert document["call"]["body_digest"] == chat_call(chat_body(model="mini")).body_digest


# --- the way to the spool


async def test_events_are_noted_by_kind_and_organisation() -> None:
    noting = recorder()
    noting.note_event("screening", "acme", {"EMAIL_ADDRESS": 2}, subject="decision:dec_1")
    noting.note_event("policy.activate", None, {"revision": "rev-8"}, actor="user:alice")
    first, second = (one.event for one in await waiting(noting))
    assert (first.chain, first.kind, first.payload) == (
        "org:acme",
        "screening",
        {"EMAIL_ADDRESS": 2},
    )
    assert (second.chain, second.actor, second.at) == ("platform", "user:alice", NOON)


async def test_what_finds_no_room_is_counted_and_the_chain_says_so() -> None:
    noting = recorder(most=3)
    for number in range(10):
        noting.note_event("screening", "acme", {"n": number})
    noting.note_event("screening", "globex", {})
    await noting.flush()
    assert len(noting.memory) == 3
    await noting.memory.done(await noting.memory.take(3, 0))
    events = [one.event for one in await waiting(noting)]
    assert [(e.chain, e.kind, e.payload["events"]) for e in events] == [
        ("org:acme", "lost", 7),
        ("org:globex", "lost", 1),
    ]
    assert await waiting(noting) == [Noted(event) for event in events]


async def test_an_event_that_cannot_be_written_down_is_counted_and_stops_nobody() -> None:
    noting = recorder()
    noting.note_event("screening", "acme", {"n": object()})
    broken: Any = None
    noting.note("dec_1", DecisionRequest(CALLER, broken), Heard(), NOON, made=Decision("d", "r"))
    noting.note_event("screening", "acme", {"n": 1})
    kinds = [(one.event.kind, one.event.payload) for one in await waiting(noting)]
    assert kinds[0] == ("screening", {"n": 1})
    assert kinds[1][0] == "lost"
    assert kinds[1][1]["events"] == 2


async def test_with_redis_events_go_there_and_without_it_they_wait_here() -> None:
    shared = SharedSpool()
    noting = recorder(shared)
    noting.note_event("one", "acme", {})
    await noting.flush()
    assert (len(shared.waiting), len(noting.memory)) == (1, 0)
    shared.is_away = True
    noting.note_event("two", "acme", {})
    await noting.flush()
    assert (len(shared.waiting), len(noting.memory)) == (1, 1)
    shared.is_away = False
    noting.note_event("three", "acme", {})
    await noting.flush()
    assert (len(shared.waiting), len(noting.memory)) == (2, 1)


async def test_a_running_recorder_hands_over_at_once() -> None:
    shared = SharedSpool()
    noting = recorder(shared)
    async with running(noting.run()):
        noting.note_event("one", "acme", {})
        async with asyncio.timeout(1):
            await shared.came.wait()


# --- the writer


@asynccontextmanager
async def running(work: Any) -> Any:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_what_is_in_redis_and_here_is_written_once() -> None:
    """Redis took an event and its answer was lost: it waits in both places."""
    shared, chain = SharedSpool(), ListedChain()
    noting = recorder(shared)
    shared.loses_answers = True
    noting.note_event("one", "acme", {})
    await noting.flush()
    assert (len(shared.waiting), len(noting.memory)) == (1, 1)
    await writer(noting, chain).write_once(0)
    assert [one.event.kind for one in chain.events.values()] == ["one"]
    assert (len(shared.waiting), len(noting.memory)) == (0, 0)


async def test_while_the_database_is_away_events_wait() -> None:
    chain = ListedChain()
    noting = recorder()
    writing = writer(noting, chain)
    noting.note_event("one", "acme", {})
    await noting.flush()
    chain.is_away = True
    with pytest.raises(PolicyUnavailable):
        await writing.write_once(0)
    assert len(noting.memory) == 1
    chain.is_away = False
    await writing.write_once(0)
    assert (len(noting.memory), len(chain.events)) == (0, 1)


async def test_one_that_can_never_be_written_is_lost_aloud_and_the_others_are_written() -> None:
    chain = ListedChain()
    chain.refuses.add("bad")
    noting = recorder()
    writing = writer(noting, chain)
    for kind in ("good", "bad", "good"):
        noting.note_event(kind, "acme", {})
    await noting.flush()
    await writing.write_once(0)
    await noting.flush()
    await writing.write_once(0)
    kinds = [one.event.kind for one in chain.events.values()]
    assert kinds == ["good", "good", "lost"]
    [lost] = [one.event for one in chain.events.values() if one.event.kind == "lost"]
    assert lost.payload == {"events": 1, "reason": "refused by the database"}


async def test_only_the_holder_of_the_lease_reads_what_all_share() -> None:
    shared, chain = SharedSpool(), ListedChain()
    noting = recorder(shared)
    noting.note_event("one", "acme", {})
    await noting.flush()
    first, second = writer(noting, chain, "first"), writer(noting, chain, "second")
    assert await first.write_once(0) == 1
    noting.note_event("two", "acme", {})
    await noting.flush()
    assert await second.write_once(0) == 0
    assert await first.write_once(0) == 1
    await first.finish()
    assert chain.holder is None


async def test_what_redis_was_not_told_of_is_not_written_again() -> None:
    shared, chain = SharedSpool(), ListedChain()
    noting = recorder(shared)
    writing = writer(noting, chain)
    noting.note_event("one", "acme", {})
    await noting.flush()
    held = await shared.take(10, 0)
    writing._held = list(held)
    writing._is_holder = True
    writing._asked_s = asyncio.get_running_loop().time()
    shared.is_away = True
    with pytest.raises(PolicyUnavailable):
        await writing.write_once(0)
    shared.is_away = False
    await writing.write_once(0)
    assert (len(chain.events), len(shared.waiting)) == (1, 0)


async def test_at_a_stop_without_the_database_what_waits_here_is_left_in_redis() -> None:
    shared, chain = SharedSpool(), ListedChain()
    noting = recorder(shared)
    shared.is_away = True
    noting.note_event("one", "acme", {})
    await noting.flush()
    shared.is_away, chain.is_away = False, True
    await writer(noting, chain).finish()
    assert (len(shared.waiting), len(noting.memory)) == (1, 0)


async def test_at_the_stop_what_waits_is_written() -> None:
    chain = ListedChain()
    noting = recorder()
    for number in range(1200):
        noting._noted.append(
            NewEvent(f"evt_{number}", "org:acme", NOON, "x", "user:a", "", {"n": number})
        )
    await writer(noting, chain).finish()
    assert len(chain.events) == 1200
