"""The table of what a report comes to, with real limits in memory."""

import logging
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from llm_core.errors import PolicyUnavailable
from llm_core.policy.allowance import worst_case
from llm_core.policy.decision import (
    CacheUse,
    ErrorClass,
    Obligations,
    PricedDeployment,
    Reservation,
    Transport,
    UsageReport,
)
from llm_core.policy.limits import Amounts, Limit, Measure, Priority
from llm_core.pricing.charge import ModelPrice, Rates
from llm_core.routing.facts import Observation
from llm_core.tokens.usage import TokenUsage, UsageSource
from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.ports.ledger import UsageRow
from policy_service.ports.limits import Reserved, SettleOutcome
from policy_service.services import settle
from policy_service.services.reserving import Reserving
from policy_service.services.settle import Settler
from policy_service.services.unconfirmed import Unconfirmed
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.known_health import KnownHealth
from tests.fakes.ledger import FakeLedger
from tests.fakes.samples import AZURE, CALLER, CLAUDE, OPENAI, PRICE, chat_body, chat_call

BUDGET = Limit("team:search", Measure.USD_PER_MONTH, Decimal(10))
TOKENS = Limit("team:search", Measure.TOKENS_PER_MINUTE, Decimal(1000))
LIMITS = (BUDGET, TOKENS)
# 10 tokens in at a dollar a million, 2 choices of 100 tokens at two.
RESERVED_USD = Decimal("0.00041")
RESERVED = Amounts(requests=1, input_tokens=10, output_tokens=200, usd=RESERVED_USD)
USED = TokenUsage(12, output_tokens=3)
USED_USD = Decimal("0.000018")

RESERVATION = Reservation(
    decision_id="dec_1",
    caller=replace(CALLER, limits=LIMITS),
    call=chat_call(chat_body(n=2)),
    operation=chat_call(chat_body()).operation,
    deployments=(PricedDeployment(OPENAI, PRICE), PricedDeployment(AZURE, PRICE)),
    obligations=Obligations(),
    prompt_tokens=10,
    max_output_tokens=100,
    usd=RESERVED_USD,
    decided_at=NOON,
    expires_at=NOON + timedelta(seconds=300),
    policy_revision="rev-7",
)


def report(error_class: ErrorClass = ErrorClass.NONE, **fields: Any) -> UsageReport:
    made = UsageReport("openai-mini", Transport.DIRECT, 200, error_class, usage=USED)
    return replace(made, **fields)


class AwayNowAndThen(MemoryLimitsStore):
    """Does not settle while it is away."""

    is_away = False

    async def settle(
        self, decision_id: str, actual: Amounts, row: bytes, now: datetime
    ) -> SettleOutcome:
        if self.is_away:
            raise PolicyUnavailable("away")
        return await super().settle(decision_id, actual, row, now)


@dataclass
class Service:
    """A settler and what stands around it."""

    limits: AwayNowAndThen = field(default_factory=AwayNowAndThen)
    ledger: FakeLedger = field(default_factory=FakeLedger)
    clock: FakeClock = field(default_factory=FakeClock)
    health: KnownHealth = field(default_factory=KnownHealth)
    unconfirmed: Unconfirmed = field(default_factory=Unconfirmed)

    @property
    def settler(self) -> Settler:
        reserving = Reserving(self.limits, self.ledger)
        return Settler(self.limits, reserving, self.clock, self.health, self.unconfirmed)

    async def reserve(self, reservation: Reservation = RESERVATION) -> None:
        await self.limits.prime(BUDGET, (), (await self.limits.unwritten()).mark, NOON)
        assert isinstance(await self.limits.reserve(reservation, RESERVED, NOON), Reserved)

    async def used(self) -> tuple[Decimal, ...]:
        return tuple(state.used for state in await self.limits.states(LIMITS, self.clock()))

    async def rows(self) -> list[UsageRow]:
        queued = await self.limits.take_rows(100, 0)
        return [msgspec.json.decode(one.row, type=UsageRow) for one in queued]


@pytest.fixture
async def service() -> Service:
    made = Service()
    await made.reserve()
    return made


ESTIMATED = (RESERVED_USD, 210, "estimated")
FREE = (Decimal(0), 0, "provider")


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        # What was reported is charged, whoever counted it and however the call ended.
        (report(), (USED_USD, 15, "provider")),
        (report(source=UsageSource.COUNTED), (USED_USD, 15, "counted")),
        (report(ErrorClass.CLIENT_GONE, transport=Transport.RELAY), (USED_USD, 15, "provider")),
        (report(ErrorClass.CUT_OFF, source=UsageSource.COUNTED), (USED_USD, 15, "counted")),
        (report(deployment_id="azure-mini"), (USED_USD, 15, "provider")),
        (report(usage=TokenUsage(0, output_tokens=0)), (Decimal(0), 0, "provider")),
        # A failure without usage costs nothing.
        (report(ErrorClass.PROVIDER, usage=None, http_status=500), FREE),
        (report(ErrorClass.CALLER, usage=None, http_status=400), FREE),
        (report(ErrorClass.RATE_LIMITED, usage=None, http_status=429), FREE),
        (report(ErrorClass.UNREACHABLE, usage=None, http_status=502), FREE),
        (report(ErrorClass.UNREACHABLE, usage=None, deployment_id=None), FREE),
        # Nobody saw the answer: the estimate.
        (report(ErrorClass.UNREPORTED, usage=None), ESTIMATED),
        (report(ErrorClass.UNREPORTED, usage=None, deployment_id=None), ESTIMATED),
        # What does not fit together is not for nothing.
        (report(usage=TokenUsage(12)), ESTIMATED),
        (report(usage=TokenUsage(output_tokens=3)), ESTIMATED),
        (report(usage=TokenUsage(5, cached_input_tokens=9, output_tokens=1)), ESTIMATED),
        (report(deployment_id="not-permitted"), ESTIMATED),
        (report(deployment_id=None), ESTIMATED),
        (report(usage=None), ESTIMATED),
    ],
)
async def test_what_a_report_comes_to(
    service: Service, sent: UsageReport, expected: tuple[Decimal, int, str]
) -> None:
    usd, tokens, source = expected
    assert await service.settler.settle("dec_1", sent) is SettleOutcome.SETTLED
    [row] = await service.rows()
    assert (row.usd, row.source) == (usd, source)
    assert (row.input_tokens or 0) + (row.output_tokens or 0) == tokens
    assert await service.used() == (usd, tokens)
    assert row.error_class == sent.error_class
    assert row.http_status == sent.http_status


@pytest.mark.parametrize(
    "used",
    [
        TokenUsage(900, 100, 50, 20, 258, 300, 40, 60, 15),
        TokenUsage(9, output_tokens=3),
        TokenUsage(9, 0, 0, 0, 0, 3, 0, 0, 0),
    ],
)
async def test_a_row_keeps_every_bucket_as_it_was_reported(
    service: Service, used: TokenUsage
) -> None:
    await service.settler.settle("dec_1", report(usage=used))
    [row] = await service.rows()
    assert {field.name: getattr(row, field.name) for field in fields(TokenUsage)} == asdict(used)


async def test_an_answer_from_the_cache_costs_nothing_whatever_it_had_cost(
    service: Service,
) -> None:
    sent = report(cache=CacheUse.HIT, saved_usd=USED_USD)
    assert await service.settler.settle("dec_1", sent) is SettleOutcome.SETTLED
    [row] = await service.rows()
    assert (row.cache, row.usd, row.saved_usd) == ("hit", 0, USED_USD)
    assert (row.input_tokens, row.output_tokens, row.source) == (0, 0, "provider")
    assert await service.used() == (0, 0)


DEAR = ModelPrice("v1", Rates(input=Decimal(3), output=Decimal(15)))
FREE_PRICE = ModelPrice("v1", Rates(input=Decimal(0), output=Decimal(0)))


@pytest.mark.parametrize(
    ("sent", "prices", "saved"),
    [
        # 12 tokens at three dollars a million and 3 at fifteen, less what it cost.
        (report(), (PRICE, DEAR), Decimal("0.000081") - USED_USD),
        (report(), (DEAR, PRICE), Decimal(0)),
        (report(), (FREE_PRICE, DEAR), Decimal("0.000081")),
        (report(), (PRICE,), Decimal(0)),
        (report(ErrorClass.PROVIDER, usage=None, http_status=500), (PRICE, DEAR), Decimal(0)),
        (report(ErrorClass.UNREPORTED, usage=None), (PRICE, DEAR), Decimal(0)),
        (report(cache=CacheUse.HIT, saved_usd=USED_USD), (PRICE, DEAR), Decimal(0)),
    ],
)
async def test_a_row_says_what_the_dearest_way_would_have_cost_more(
    sent: UsageReport, prices: tuple[ModelPrice, ...], saved: Decimal
) -> None:
    service = Service()
    ways = zip((OPENAI, AZURE), prices, strict=False)
    deployments = tuple(PricedDeployment(one, price) for one, price in ways)
    await service.reserve(replace(RESERVATION, deployments=deployments))
    await service.settler.settle("dec_1", sent)
    [row] = await service.rows()
    assert row.routing_saved_usd == saved


async def test_a_row_says_what_the_cache_had_to_do_with_it_when_it_was_decided() -> None:
    service = Service()
    await service.reserve(replace(RESERVATION, cache=CacheUse.MISS))
    await service.settler.settle("dec_1", report())
    [row] = await service.rows()
    assert (row.cache, row.saved_usd) == ("miss", 0)


async def test_a_row_says_who_where_and_at_what_price(service: Service) -> None:
    sent = report(served_model="gpt-4o-mini-2024-07-18", total_ms=80.5, fallbacks=0)
    await service.settler.settle("dec_1", sent)
    [row] = await service.rows()
    assert (row.team, row.key_id) == ("search", "key-1")
    assert (row.asked_model, row.routed_model) == ("mini", "gpt-4o-mini")
    assert row.served_model == "gpt-4o-mini-2024-07-18"
    assert (row.provider, row.region, row.deployment_id) == ("openai", "us", "openai-mini")
    assert (row.price_version, row.policy_revision) == ("v1", "rev-7")
    assert row.at == NOON
    assert row.total_ms == 80.5
    assert "hello" not in repr(row)


async def test_a_row_says_who_pays_what_for_and_how_urgent_it_was() -> None:
    service = Service()
    call = replace(RESERVATION.call, use_case="summaries", priority=Priority.BATCH)
    caller = replace(RESERVATION.caller, cost_centre="cc-7")
    await service.reserve(replace(RESERVATION, call=call, caller=caller))
    await service.settler.settle("dec_1", report())
    [row] = await service.rows()
    assert (row.cost_centre, row.use_case, row.priority) == ("cc-7", "summaries", "batch")


@pytest.mark.parametrize("second", [report(), report(ErrorClass.UNREPORTED, usage=None)])
async def test_the_second_report_changes_nothing(service: Service, second: UsageReport) -> None:
    await service.settler.settle("dec_1", report())
    before = await service.used()
    assert await service.settler.settle("dec_1", second) is SettleOutcome.ALREADY_SETTLED
    assert await service.used() == before
    assert len(await service.rows()) == 1


@pytest.mark.parametrize("blind", [ErrorClass.UNREACHABLE, ErrorClass.UNREPORTED])
async def test_who_could_not_see_the_answer_is_not_heeded_once_the_relay_has_the_call(
    service: Service, blind: ErrorClass
) -> None:
    """Else a call that the relay is serving would be booked as free."""
    assert await service.limits.redeem("dec_1", NOON)
    sent = report(blind, usage=None)
    assert await service.settler.settle("dec_1", sent) is SettleOutcome.ALREADY_SETTLED
    assert await service.rows() == []
    assert await service.used() == (RESERVED_USD, 210)
    # The relay's own report still counts.
    assert await service.settler.book(RESERVATION, report()) is SettleOutcome.SETTLED
    assert await service.used() == (USED_USD, 15)


@pytest.mark.parametrize("blind", [ErrorClass.UNREACHABLE, ErrorClass.UNREPORTED])
async def test_once_it_is_heeded_the_relay_cannot_serve_the_call_any_more(
    service: Service, blind: ErrorClass
) -> None:
    await service.settler.settle("dec_1", report(blind, usage=None))
    assert await service.limits.redeem("dec_1", NOON) is None


async def test_a_report_that_saw_usage_counts_whoever_redeemed(service: Service) -> None:
    assert await service.limits.redeem("dec_1", NOON)
    assert await service.settler.settle("dec_1", report()) is SettleOutcome.SETTLED


async def test_a_decision_nobody_knows_is_unknown(service: Service) -> None:
    assert await service.settler.settle("dec_9", report()) is SettleOutcome.UNKNOWN
    other = report(reservation=RESERVATION)
    assert await service.settler.settle("dec_9", other) is SettleOutcome.UNKNOWN
    assert await service.rows() == []


# --- a store that has forgotten


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (report(), (USED_USD, 15)),
        (report(ErrorClass.UNREPORTED, usage=None), (RESERVED_USD, 210)),
        (report(ErrorClass.UNREACHABLE, usage=None), (Decimal(0), 0)),
    ],
)
async def test_a_forgotten_reservation_is_taken_up_from_the_report(
    sent: UsageReport, expected: tuple[Decimal, int]
) -> None:
    service = Service()
    whole = replace(sent, reservation=RESERVATION)
    assert await service.settler.settle("dec_1", whole) is SettleOutcome.SETTLED
    assert await service.used() == expected
    assert await service.settler.settle("dec_1", whole) is SettleOutcome.ALREADY_SETTLED
    assert len(await service.rows()) == 1


async def test_what_was_served_is_charged_though_the_limit_is_full_by_now() -> None:
    service = Service(ledger=FakeLedger({"team:search": Decimal(10)}))
    whole = report(reservation=RESERVATION)
    assert await service.settler.settle("dec_1", whole) is SettleOutcome.SETTLED
    usd, _ = await service.used()
    assert usd == Decimal(10) + USED_USD


# --- leases


async def test_a_lease_that_ends_unreported_is_charged_its_estimate(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.clock.advance(299)
    assert await service.settler.sweep() == 0
    service.clock.advance(2)
    with caplog.at_level(logging.WARNING):
        assert await service.settler.sweep() == 1
    assert "dec_1" in caplog.text
    [row] = await service.rows()
    assert (row.usd, row.source, row.error_class) == (RESERVED_USD, "estimated", "unreported")
    assert (row.input_tokens, row.output_tokens) == (10, 200)
    assert (await service.used())[0] == RESERVED_USD
    assert await service.settler.sweep() == 0


async def test_a_true_figure_that_comes_late_replaces_the_estimate(service: Service) -> None:
    service.clock.advance(301)
    await service.settler.sweep()
    assert await service.settler.settle("dec_1", report()) is SettleOutcome.SETTLED
    assert (await service.used())[0] == USED_USD
    estimated, true = await service.rows()
    assert (estimated.source, true.source) == ("estimated", "provider")
    await service.ledger.record([true, estimated])
    assert service.ledger.rows["dec_1"].usd == USED_USD


@pytest.mark.parametrize("is_swept", [True, False], ids=["swept", "not swept yet"])
async def test_a_call_that_reached_nobody_is_free_however_late_that_is_told(
    service: Service, is_swept: bool
) -> None:
    service.clock.advance(301)
    if is_swept:
        await service.settler.sweep()
    sent = report(ErrorClass.UNREACHABLE, usage=None, http_status=502)
    assert await service.settler.settle("dec_1", sent) is SettleOutcome.SETTLED
    assert (await service.used())[0] == 0
    await service.ledger.record(await service.rows())
    assert service.ledger.rows["dec_1"].usd == 0


@pytest.mark.parametrize("blind", [ErrorClass.UNREACHABLE, ErrorClass.UNREPORTED])
async def test_after_its_lease_as_well_a_call_that_the_relay_has_is_the_relays_to_report(
    service: Service, blind: ErrorClass
) -> None:
    assert await service.limits.redeem("dec_1", NOON)
    service.clock.advance(301)
    await service.settler.sweep()
    sent = report(blind, usage=None)
    assert await service.settler.settle("dec_1", sent) is SettleOutcome.ALREADY_SETTLED
    assert (await service.used())[0] == RESERVED_USD
    assert await service.settler.book(RESERVATION, report()) is SettleOutcome.SETTLED
    assert (await service.used())[0] == USED_USD


@pytest.mark.parametrize(
    "sent",
    [
        report(ErrorClass.UNREPORTED, usage=None),
        # A provider that was not heard of in time: its prompt, and a guess at that.
        report(ErrorClass.TIMEOUT, usage=TokenUsage(10, output_tokens=0), http_status=504),
        report(usage=TokenUsage(12)),
    ],
    ids=["blind", "a prompt", "does not fit"],
)
@pytest.mark.parametrize("order", [1, -1], ids=["in order", "the other way round"])
async def test_an_estimate_that_comes_late_stands_in_counter_and_ledger_alike(
    service: Service, sent: UsageReport, order: int
) -> None:
    service.clock.advance(301)
    await service.settler.sweep()
    await service.settler.settle("dec_1", replace(sent, source=UsageSource.ESTIMATED))
    for row in (await service.rows())[::order]:
        await service.ledger.record([row])
    assert (await service.used())[0] == service.ledger.rows["dec_1"].usd


async def test_an_estimates_row_says_what_was_reserved_margin_and_all() -> None:
    """Another tokeniser's margin is reserved; tokens of a day are summed from the rows."""
    service = Service()
    made = replace(RESERVATION, deployments=(PricedDeployment(CLAUDE, PRICE),))
    await service.limits.prime(BUDGET, (), (await service.limits.unwritten()).mark, NOON)
    amounts = worst_case(made.call, made.deployments, made.obligations)
    assert amounts.input_tokens > made.prompt_tokens
    await service.limits.reserve(replace(made, usd=amounts.usd), amounts, NOON)
    service.clock.advance(301)
    await service.settler.sweep()
    [row] = await service.rows()
    assert (row.input_tokens, row.output_tokens) == (amounts.input_tokens, amounts.output_tokens)
    assert row.usd == amounts.usd


# --- a store that is away


async def test_a_report_that_would_not_count_again_is_owed_when_the_store_goes_away(
    service: Service,
) -> None:
    """The ticket is redeemed by then."""
    service.limits.is_away = True
    with pytest.raises(PolicyUnavailable):
        await service.settler.settle("dec_1", report(ErrorClass.UNREACHABLE, usage=None))
    service.limits.is_away = False
    [owed] = service.unconfirmed.owed(10)
    assert await service.settler.book(owed.reservation, owed.report) is SettleOutcome.SETTLED
    assert await service.used() == (0, 0)


async def test_a_report_that_may_be_given_again_is_not_owed(service: Service) -> None:
    service.limits.is_away = True
    with pytest.raises(PolicyUnavailable):
        await service.settler.settle("dec_1", report())
    assert service.unconfirmed.owed_count == 0


async def test_what_a_relay_cannot_book_is_owed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle, "_RETRY_AFTER_S", (0, 0))
    service.limits.is_away = True
    await service.settler.book_surely(RESERVATION, report())
    assert service.unconfirmed.owed_count == 1


async def test_what_is_settled_or_ended_is_remembered_until_the_ledger_has_it(
    service: Service,
) -> None:
    await service.settler.settle("dec_1", report())
    await service.reserve(replace(RESERVATION, decision_id="dec_2"))
    service.clock.advance(301)
    await service.settler.sweep()
    assert service.unconfirmed.unseen(0, 10) == ("dec_1", "dec_2")


async def test_a_settled_call_is_not_swept(service: Service) -> None:
    await service.settler.settle("dec_1", report())
    service.clock.advance(301)
    assert await service.settler.sweep() == 0


# --- what a report says about its deployment

NO_ANSWER = {"usage": None, "http_status": 502}


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        (report(total_ms=90.0, overhead_ms=10.0), (False, 80.0)),
        (report(total_ms=90.0, time_to_first_token_ms=30.0), (False, 30.0)),
        (report(), (False, None)),
        (report(ErrorClass.UNREACHABLE, **NO_ANSWER), (True, None)),
        (report(ErrorClass.UNREACHABLE, usage=None, http_status=504), (True, None)),
        (report(ErrorClass.TIMEOUT, usage=None, http_status=504), (True, None)),
        (report(ErrorClass.PROVIDER, usage=None, http_status=500), (True, None)),
        (report(ErrorClass.CUT_OFF), (True, None)),
        # It was not sent, or the client left, or a plugin died: the deployment is not to blame.
        (report(ErrorClass.UNREACHABLE, usage=None, http_status=499), None),
        (report(ErrorClass.UNREACHABLE, usage=None, http_status=503), None),
        (report(ErrorClass.UNREACHABLE, usage=None, deployment_id=None), None),
        (report(ErrorClass.CALLER, usage=None, http_status=400), None),
        (report(ErrorClass.RATE_LIMITED, usage=None, http_status=429), None),
        (report(ErrorClass.UNREPORTED, usage=None), None),
        (report(ErrorClass.GATEWAY, usage=None, http_status=500), None),
        # The relay tells of its own tries.
        (report(transport=Transport.RELAY), None),
        (report(ErrorClass.PROVIDER, transport=Transport.RELAY, **NO_ANSWER), None),
        (report(deployment_id="not-permitted"), None),
    ],
)
async def test_what_a_direct_calls_report_says_about_its_deployment(
    service: Service, sent: UsageReport, seen: tuple[bool, float | None] | None
) -> None:
    await service.settler.settle("dec_1", sent)
    expected = seen and Observation(
        "openai-mini",
        seen[0],
        time_to_first_token_ms=seen[1],
        error=sent.error_class.value if seen[0] else "",
    )
    assert service.health.seen == ([expected] if expected else [])


async def test_a_report_that_comes_twice_is_seen_once(service: Service) -> None:
    for _ in range(2):
        await service.settler.settle("dec_1", report())
    assert len(service.health.seen) == 1


async def test_a_report_that_waited_in_the_journal_says_nothing_of_now(service: Service) -> None:
    service.clock.advance(301)
    await service.settler.settle("dec_1", report(ErrorClass.PROVIDER, usage=None))
    assert service.health.seen == []
