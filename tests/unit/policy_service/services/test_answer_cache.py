"""Answers that are given again: decided, relayed, kept, with real limits in memory."""

import asyncio
import json
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from llm_core.errors import PolicyUnavailable, ProviderUnavailable
from llm_core.policy.caller import Caller
from llm_core.policy.decision import (
    CacheScope,
    Decision,
    DecisionRequest,
    Obligations,
    Transport,
)
from llm_core.policy.limits import Limit, Measure
from llm_core.policy.route import RouteOptions
from llm_core.pricing.charge import ModelPrice, Rates
from policy_service.adapters.memory_cache import MemoryCache
from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.ports.ledger import UsageRow
from policy_service.services.answer_cache import AnswerCache
from policy_service.services.decide import Decider
from policy_service.services.reach import Reach
from policy_service.services.relay import Relay, StreamedAnswer, WholeAnswer
from policy_service.services.reserving import Reserving
from policy_service.services.settle import Settler
from policy_service.services.tickets import Tickets
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.credentials import FakeCredentials
from tests.fakes.health import FakeHealth
from tests.fakes.ledger import FakeLedger
from tests.fakes.policy import FakePolicy
from tests.fakes.providers import FakeAnswer, FakeProviders
from tests.fakes.samples import (
    CALLER,
    CATALOGUE,
    PRICE,
    SECRETS,
    chat_body,
    chat_call,
    openai_answer,
    openai_events,
)

TICKETS = Tickets("ticket-secret-0123456789")
REQUESTS = Limit("team:search", Measure.REQUESTS_PER_MINUTE, Decimal(1000))
TOKENS = Limit("team:search", Measure.TOKENS_PER_MINUTE, Decimal(1_000_000))
BUDGET = Limit("team:search", Measure.USD_PER_MONTH, Decimal(10))
LIMITS = (REQUESTS, TOKENS, BUDGET)
SEARCH = replace(CALLER, limits=LIMITS)
KEPT = Obligations(cache_seconds=60)
# 12 tokens in and 3 out.
USD = Decimal("0.000018")


class AwayCache(MemoryCache):
    """Says no."""

    async def get(self, key: str) -> bytes | None:
        raise PolicyUnavailable("away")

    async def put(self, key: str, value: bytes, ttl_s: int) -> None:
        raise PolicyUnavailable("away")

    async def claim(self, key: str, holder: str, ttl_s: float) -> bool:
        raise PolicyUnavailable("away")

    async def release(self, key: str, holder: str) -> None:
        raise PolicyUnavailable("away")


@dataclass
class Prices:
    """Implements `Prices`: one for all."""

    now: ModelPrice = PRICE

    def price(self, *_: object) -> ModelPrice:
        return self.now


@dataclass
class Service:
    """The decider, the relay, and one cache between them."""

    providers: FakeProviders = field(
        default_factory=lambda: FakeProviders({"openai.test": FakeAnswer([openai_answer()])})
    )
    cache: MemoryCache = field(default_factory=lambda: MemoryCache(1_000_000))
    policy: FakePolicy = field(default_factory=lambda: FakePolicy(obligations=KEPT))
    prices: Prices = field(default_factory=Prices)
    limits: MemoryLimitsStore = field(default_factory=MemoryLimitsStore)
    clock: FakeClock = field(default_factory=FakeClock)
    most_bytes: int = 100_000
    wait_s: float = 20.0
    made: int = 0

    def __post_init__(self) -> None:
        reserving = Reserving(self.limits, FakeLedger())
        settler = Settler(self.limits, reserving, self.clock)
        answers = AnswerCache(self.cache, settler, self.most_bytes, self.wait_s)
        health = FakeHealth()
        self.decider = Decider(
            catalogue=CATALOGUE,
            prices=self.prices,
            policy=self.policy,
            limits=self.limits,
            reserving=reserving,
            tickets=TICKETS,
            clock=self.clock,
            health=health,
            draw=lambda: 0.5,
            ticket_ttl_s=30,
            lease_s=300,
            answers=answers,
            make_id=self._next_id,
        )
        self.relay = Relay(
            limits=self.limits,
            reach=Reach(self.providers, FakeCredentials(SECRETS), health, self.clock, 60.0),
            settler=settler,
            tickets=TICKETS,
            clock=self.clock,
            count=lambda text: len(text.split()),
            lease_s=300,
            answers=answers,
        )

    def _next_id(self, kind: str) -> str:
        self.made += 1
        return f"{kind}_{self.made}"

    async def decide(
        self,
        body: bytes,
        caller: Caller = SEARCH,
        route: RouteOptions | None = None,
        **facts: Any,
    ) -> Decision:
        call = replace(chat_call(body), **facts)
        request = DecisionRequest(caller, call, route=route or RouteOptions())
        made = await self.decider.decide(request)
        assert made.denial is None, made.denial
        return made

    async def relayed(self, made: Decision, body: bytes) -> WholeAnswer | bytes:
        """What the relay serves; a stream as its bytes."""
        answer = await self.relay.serve(made.ticket, body)
        if isinstance(answer, StreamedAnswer):
            self.stream_headers = answer.headers
            return b"".join([event async for event in answer.events])
        return answer

    async def asked(self, body: bytes, **how: Any) -> Decision:
        """Decide and carry out; wait until everything is booked and kept."""
        made = await self.decide(body, **how)
        if made.transport is Transport.RELAY:
            await self.relayed(made, body)
            await self.relay.drain()
        return made

    async def rows(self) -> list[UsageRow]:
        queued = await self.limits.take_rows(1000, 0)
        await self.limits.acknowledge(queued)
        return [msgspec.json.decode(one.row, type=UsageRow) for one in queued]

    async def used(self) -> list[Decimal]:
        return [state.used for state in await self.limits.states(LIMITS, self.clock())]


def streaming(*pieces: Any, **fields: Any) -> FakeProviders:
    return FakeProviders({"openai.test": FakeAnswer(pieces or openai_events("hi"), **fields)})


BODY = chat_body()
STREAM = chat_body(stream=True)


async def test_the_first_call_misses_and_goes_by_the_relay_and_the_second_is_answered() -> None:
    service = Service()
    first = await service.asked(BODY)
    assert first.transport is Transport.RELAY
    second = await service.decide(BODY)
    assert second.transport is Transport.ANSWER
    assert second.answer == {**json.loads(openai_answer()), **(second.answer or {})}
    assert second.headers["x-gatehouse-cache"] == "hit"
    assert second.headers["x-gatehouse-cost-usd"] == "0"
    assert second.headers["x-gatehouse-provider"] == "openai"
    assert second.headers["x-gatehouse-decision-id"] == "dec_2"
    assert service.providers.hosts == ["openai.test"]


async def test_a_hit_is_one_row_that_costs_nothing_and_says_what_it_saved() -> None:
    service = Service()
    await service.asked(BODY)
    [miss] = await service.rows()
    assert (miss.cache, miss.usd, miss.saved_usd) == ("miss", USD, 0)
    await service.decide(BODY)
    [hit] = await service.rows()
    assert (hit.cache, hit.usd, hit.saved_usd) == ("hit", 0, USD)
    assert (hit.input_tokens, hit.output_tokens, hit.http_status) == (0, 0, 200)
    assert (hit.transport, hit.deployment_id, hit.source) == ("answer", "openai-mini", "provider")
    assert hit.served_model == miss.served_model
    assert hit.response_digest == miss.response_digest
    assert await service.limits.overdue(NOON.replace(year=2027), 10) == ()


async def test_what_a_hit_saves_is_counted_at_the_price_in_force() -> None:
    service = Service()
    await service.asked(BODY)
    service.prices.now = ModelPrice("v2", Rates(input=Decimal(10), output=Decimal(20)))
    await service.rows()
    await service.decide(BODY)
    [hit] = await service.rows()
    assert (hit.saved_usd, hit.price_version) == (10 * USD, "v2")


async def test_a_hit_counts_as_a_request_and_takes_no_tokens_and_no_money() -> None:
    service = Service()
    await service.asked(BODY)
    before = await service.used()
    await service.decide(BODY)
    after = await service.used()
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 0, 0]


async def test_a_hit_over_the_limit_a_minute_is_refused() -> None:
    one = replace(CALLER, limits=(replace(REQUESTS, amount=Decimal(1)),))
    service = Service()
    await service.asked(BODY, caller=one)
    refused = await service.decider.decide(DecisionRequest(one, chat_call(BODY)))
    assert refused.denial is not None
    assert refused.denial.status == 429


@pytest.mark.parametrize(("kept", "asked"), [(BODY, STREAM), (STREAM, BODY), (STREAM, STREAM)])
async def test_whole_and_streamed_answer_each_other(kept: bytes, asked: bytes) -> None:
    provider = FakeProviders(
        {
            "openai.test": FakeAnswer([openai_answer()])
            if kept is BODY
            else FakeAnswer(openai_events("h", "i"))
        }
    )
    service = Service(providers=provider)
    await service.asked(kept)
    made = await service.decide(asked)
    assert made.answer is not None
    assert made.answer["object"] == "chat.completion"
    assert made.answer["choices"][0]["message"]["content"] == "hi"
    assert made.answer["choices"][0]["finish_reason"] == "stop"
    [_, hit] = await service.rows()
    assert (hit.cache, hit.saved_usd) == ("hit", USD)


async def test_without_policys_word_nothing_is_kept() -> None:
    service = Service(policy=FakePolicy())
    service.providers.answers = {"openai.test": FakeAnswer(openai_events("hi"))}
    for _ in range(2):
        assert (await service.asked(STREAM)).transport is Transport.RELAY
        assert (await service.asked(BODY)).transport is Transport.DIRECT
    assert [row.cache for row in await service.rows()] == ["bypass", "bypass"]


async def test_a_route_without_a_cache_neither_reads_nor_keeps() -> None:
    service = Service()
    await service.asked(BODY)
    made = await service.asked(BODY, route=RouteOptions(has_cache=False))
    assert made.transport is Transport.DIRECT
    assert made.headers["x-gatehouse-cache"] == "bypass"


async def test_no_cache_asks_anew_and_keeps_the_new_answer() -> None:
    service = Service()
    await service.asked(BODY)
    service.providers.answers = {"openai.test": FakeAnswer([openai_answer("new")])}
    made = await service.asked(BODY, reads_cache=False)
    assert made.headers["x-gatehouse-cache"] == "bypass"
    again = await service.decide(BODY)
    assert again.answer is not None
    assert again.answer["choices"][0]["message"]["content"] == "new"


async def test_no_store_reads_and_keeps_nothing() -> None:
    service = Service()
    made = await service.asked(BODY, fills_cache=False)
    assert made.transport is Transport.DIRECT
    assert made.headers["x-gatehouse-cache"] == "miss"
    assert (await service.asked(BODY)).transport is Transport.RELAY
    assert (await service.decide(BODY, fills_cache=False)).transport is Transport.ANSWER


async def test_another_team_is_answered_by_a_provider_unless_policy_says_otherwise() -> None:
    other = replace(CALLER, team="ads")
    service = Service()
    await service.asked(BODY)
    assert (await service.decide(BODY, caller=other)).transport is Transport.RELAY
    service.policy.obligations = replace(KEPT, cache_scope=CacheScope.ORGANISATION)
    await service.asked(BODY)
    assert (await service.decide(BODY, caller=other)).transport is Transport.ANSWER
    foreign = replace(other, organisation="umbrella")
    assert (await service.decide(BODY, caller=foreign)).transport is Transport.RELAY


@pytest.mark.parametrize(
    "answer",
    [
        FakeAnswer([openai_answer(choices=[])]),
        FakeAnswer([b'{"error": {"message": "no"}}'], status=400),
        FakeAnswer(
            [
                openai_answer(
                    choices=[
                        {
                            "index": 0,
                            "message": {"role": "assistant", "content": ""},
                            "finish_reason": "content_filter",
                        }
                    ]
                )
            ]
        ),
    ],
    ids=["empty", "error", "filtered"],
)
async def test_what_is_no_good_answer_is_not_kept(answer: FakeAnswer) -> None:
    service = Service(providers=FakeProviders({"openai.test": answer}))
    made = await service.decide(BODY)
    await asyncio.gather(service.relayed(made, BODY), return_exceptions=True)
    await service.relay.drain()
    assert (await service.decide(BODY)).transport is Transport.RELAY


@pytest.mark.parametrize(
    "pieces",
    [
        [*openai_events("hi", is_done=False), ProviderUnavailable("broke")],
        openai_events("hi", is_done=False),
        [*openai_events("hi", is_done=False), b'data: {"error": {"message": "no"}}\n\n'],
    ],
    ids=["broken", "ended early", "error event"],
)
async def test_a_stream_that_was_cut_is_not_kept(pieces: list[Any]) -> None:
    service = Service(providers=streaming(*pieces))
    await service.asked(STREAM)
    assert (await service.decide(STREAM)).transport is Transport.RELAY


async def test_a_stream_whose_client_left_is_not_kept() -> None:
    service = Service(providers=streaming(*openai_events("a", "b")))
    made = await service.decide(STREAM)
    answer = await service.relay.serve(made.ticket, STREAM)
    assert isinstance(answer, StreamedAnswer)
    await anext(answer.events)
    await answer.events.aclose()
    await service.relay.drain()
    assert (await service.decide(STREAM)).transport is Transport.RELAY


async def test_what_is_for_the_user_is_not_kept_for_a_consumer_that_stands_for_none() -> None:
    """Two such consumers of one team look alike."""
    service = Service()
    service.policy.obligations = replace(KEPT, cache_scope=CacheScope.USER)
    nobody = replace(SEARCH, user=None, key_id=None)
    await service.asked(BODY, caller=nobody)
    second = await service.decide(BODY, caller=nobody)
    assert second.transport is Transport.DIRECT
    assert second.headers["x-gatehouse-cache"] == "bypass"


async def test_a_long_answer_is_not_kept() -> None:
    service = Service(most_bytes=200)
    await service.asked(BODY)
    assert (await service.decide(BODY)).transport is Transport.RELAY


async def test_an_answer_of_a_deployment_that_is_not_permitted_any_more_is_not_given() -> None:
    service = Service()
    await service.asked(BODY)
    [(key, kept)] = service.cache._answers.items()
    changed = kept.value.replace(b"openai-mini", b"openai-none")
    await service.cache.put(key, changed, 60)
    assert (await service.decide(BODY)).transport is Transport.RELAY
    await service.cache.put(key, b"{broken", 60)
    assert (await service.decide(BODY)).transport is Transport.RELAY


async def test_a_cache_that_is_away_is_passed_by() -> None:
    service = Service(cache=AwayCache(1000))
    for _ in range(2):
        made = await service.asked(BODY)
        assert made.headers["x-gatehouse-cache"] == "bypass"
        assert made.transport is Transport.DIRECT


async def test_a_cache_that_goes_away_on_the_way_costs_nothing_but_the_hit() -> None:
    service = Service()
    made = await service.decide(BODY)
    service.cache.__class__ = AwayCache
    answer = await service.relayed(made, BODY)
    assert isinstance(answer, WholeAnswer)
    await service.relay.drain()
    [row] = await service.rows()
    assert (row.cache, row.usd) == ("miss", USD)


# --- single flight


class Gate:
    """A provider that answers when the test lets it."""

    def __init__(self, pieces: list[Any]) -> None:
        self.open = asyncio.Event()
        self.answer = FakeAnswer([self.open, *pieces])
        self.providers = FakeProviders({"openai.test": self.answer})


@pytest.mark.parametrize("body", [BODY, STREAM], ids=["whole", "streamed"])
async def test_the_same_question_asked_by_many_at_once_is_asked_once(body: bytes) -> None:
    gate = Gate(openai_events("hi") if body is STREAM else [openai_answer()])
    service = Service(providers=gate.providers)
    decisions = [await service.decide(body) for _ in range(20)]
    assert {made.transport for made in decisions} == {Transport.RELAY}
    serving = [asyncio.create_task(service.relayed(made, body)) for made in decisions]
    await gate.answer.waiting.wait()
    gate.open.set()
    async with asyncio.timeout(20):
        answers = await asyncio.gather(*serving)
    await service.relay.drain()
    assert gate.providers.hosts == ["openai.test"]
    if body is BODY:
        whole = [answer for answer in answers if isinstance(answer, WholeAnswer)]
        assert len({answer.body for answer in whole}) == 1
        said = sorted(answer.headers["x-gatehouse-cache"] for answer in whole)
        assert said == ["hit"] * 19 + ["miss"]
    else:
        assert all(isinstance(one, bytes) and one.endswith(b"[DONE]\n\n") for one in answers)
    rows = await service.rows()
    assert len(rows) == 20
    assert sorted(row.cache for row in rows) == ["hit"] * 19 + ["miss"]
    assert sum(row.usd for row in rows) == USD
    assert sum(row.saved_usd for row in rows) == 19 * USD
    assert await service.used() == [20, 15, USD]


async def test_when_the_first_fails_the_others_go_on_themselves() -> None:
    gate = Gate([ProviderUnavailable("broke")])
    service = Service(providers=gate.providers)
    decisions = [await service.decide(BODY) for _ in range(3)]
    first = asyncio.create_task(service.relayed(decisions[0], BODY))
    await gate.answer.waiting.wait()
    others = [asyncio.create_task(service.relayed(made, BODY)) for made in decisions[1:]]
    await asyncio.sleep(0)
    service.providers.answers = {"openai.test": FakeAnswer([openai_answer()])}
    gate.open.set()
    async with asyncio.timeout(20):
        with pytest.raises(ProviderUnavailable):
            await first
        answers = await asyncio.gather(*others)
    assert all(isinstance(answer, WholeAnswer) for answer in answers)
    await service.relay.drain()
    assert len(await service.rows()) == 3


async def test_when_the_first_ones_client_leaves_the_others_go_on() -> None:
    gate = Gate([openai_answer()])
    service = Service(providers=gate.providers)
    decisions = [await service.decide(BODY) for _ in range(2)]
    first = asyncio.create_task(service.relayed(decisions[0], BODY))
    await gate.answer.waiting.wait()
    other = asyncio.create_task(service.relayed(decisions[1], BODY))
    await asyncio.sleep(0)
    service.providers.answers = {"openai.test": FakeAnswer([openai_answer()])}
    first.cancel()
    async with asyncio.timeout(20):
        assert isinstance(await other, WholeAnswer)
    await service.relay.drain()
    assert sorted(row.error_class for row in await service.rows()) == ["client_gone", "none"]


async def test_nobody_waits_longer_than_they_may() -> None:
    gate = Gate([openai_answer()])
    service = Service(providers=gate.providers, wait_s=0.01)
    decisions = [await service.decide(BODY) for _ in range(2)]
    first = asyncio.create_task(service.relayed(decisions[0], BODY))
    await gate.answer.waiting.wait()
    service.providers.answers = {"openai.test": FakeAnswer([openai_answer()])}
    async with asyncio.timeout(20):
        assert isinstance(await service.relayed(decisions[1], BODY), WholeAnswer)
    gate.open.set()
    await first
    await service.relay.drain()


async def test_who_was_decided_before_the_answer_came_is_answered_from_the_cache() -> None:
    service = Service()
    late = await service.decide(BODY)
    await service.asked(BODY)
    answer = await service.relayed(late, BODY)
    assert isinstance(answer, WholeAnswer)
    assert answer.headers["x-gatehouse-cache"] == "hit"
    assert service.providers.hosts == ["openai.test"]
    await service.relay.drain()


async def test_no_cache_waits_for_nobody() -> None:
    gate = Gate([openai_answer()])
    service = Service(providers=gate.providers)
    first = await service.decide(BODY)
    fresh = await service.decide(BODY, reads_cache=False)
    serving = asyncio.create_task(service.relayed(first, BODY))
    await gate.answer.waiting.wait()
    service.providers.answers = {"openai.test": FakeAnswer([openai_answer("new")])}
    async with asyncio.timeout(20):
        answer = await service.relayed(fresh, BODY)
    assert isinstance(answer, WholeAnswer)
    assert b'"new"' in answer.body
    gate.open.set()
    await serving
    await service.relay.drain()
