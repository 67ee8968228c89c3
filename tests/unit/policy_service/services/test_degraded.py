"""While the shared limits are away: closed, or never more than a share of what is left."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from llm_core.errors import PolicyUnavailable
from llm_core.policy.decision import ErrorClass, Reservation, Transport, UsageReport
from llm_core.policy.limits import Amounts, Limit, Measure
from llm_core.policy.route import RouteOptions, WhenLimitsDown
from llm_core.tokens.usage import TokenUsage
from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.ports.limits import Refused, Reserved, SettleOutcome
from policy_service.services import degraded as module
from policy_service.services.degraded import DegradableLimits, degraded_header
from policy_service.services.keeper import Keeper
from policy_service.services.reserving import Reserving
from policy_service.services.settle import Settler, reserved_for
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.ledger import FakeLedger
from tests.fixtures.reservations import reservation

BUDGET = Limit("team:search", Measure.USD_PER_MONTH, Decimal(10))
REQUESTS = Limit("team:search", Measure.REQUESTS_PER_MINUTE, Decimal(100))
PLACES = Limit("team:search", Measure.CONCURRENT_REQUESTS, Decimal(50))
DEGRADED = RouteOptions(when_limits_down=WhenLimitsDown.DEGRADED, degraded_share=0.1)
REPORT = UsageReport(
    "openai-mini", Transport.DIRECT, 200, usage=TokenUsage(input_tokens=10, output_tokens=3)
)
USED_USD = Decimal("0.0000033")


class Shared(MemoryLimitsStore):
    """The store of all processes, which may be away, and which may lose its data."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False

    def __getattribute__(self, name: str) -> Any:
        asked = ("states", "reserve", "redeem", "find", "extend", "settle", "unwritten", "prime")
        if name in asked and self.is_away:
            raise PolicyUnavailable("away")
        return super().__getattribute__(name)

    async def ready(self) -> bool:
        return not self.is_away


class World:
    """One process of the service; several may share a store."""

    def __init__(self, shared: Shared | None = None, spent_usd: str = "0") -> None:
        self.shared = shared or Shared()
        self.ledger = FakeLedger({"team:search": Decimal(spent_usd)})
        self.clock = FakeClock()
        self.limits = DegradableLimits(self.shared, MemoryLimitsStore, self.ledger, self.clock)
        self.reserving = Reserving(self.limits, self.ledger)
        self.settler = Settler(self.limits, self.reserving, self.clock)
        self.keeper = Keeper(self.settler, self.ledger)

    async def call(
        self,
        name: str,
        *limits: Limit,
        usd: str = "0",
        route: RouteOptions = DEGRADED,
    ) -> Reserved | Refused:
        return await self.reserving.reserve(made(name, limits, usd, route), taken(usd), NOON)

    async def admitted(self, count: int, *limits: Limit, usd: str = "0") -> int:
        answers = [await self.call(f"dec-{n}", *limits, usd=usd) for n in range(count)]
        return sum(isinstance(answer, Reserved) for answer in answers)

    async def come_back(self) -> None:
        self.shared.is_away = False
        task = asyncio.create_task(self.limits.run())
        async with asyncio.timeout(10):
            while self.limits.is_away:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.001)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def made(
    name: str, limits: Sequence[Limit], usd: str = "0", route: RouteOptions = DEGRADED
) -> Reservation:
    return replace(reservation(name, limits), usd=Decimal(usd), route=route)


def taken(usd: str) -> Amounts:
    return Amounts(requests=1, input_tokens=10, output_tokens=100, usd=Decimal(usd))


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOK_EVERY_S", 0.001)


async def test_a_route_is_closed_unless_it_says_otherwise() -> None:
    world = World()
    world.shared.is_away = True
    with pytest.raises(PolicyUnavailable):
        await world.call("a", REQUESTS, route=RouteOptions())
    assert world.limits.admitted == 0


async def test_while_the_shared_limits_answer_nothing_is_decided_alone() -> None:
    world = World()
    answer = await world.call("a", BUDGET, usd="9")
    assert isinstance(answer, Reserved)
    assert not answer.is_degraded
    found = await world.limits.find("a")
    assert found is not None
    assert not found.is_degraded


async def test_a_call_that_was_admitted_alone_says_so(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.shared.is_away = True
    answer = await world.call("a", REQUESTS)
    assert isinstance(answer, Reserved)
    assert answer.is_degraded
    found = await world.limits.find("a")
    assert found is not None
    assert found.is_degraded
    assert "a was admitted without the shared limits" in caplog.text
    assert world.limits.admitted == 1
    assert degraded_header(is_degraded=True) == {"x-gatehouse-limits": "degraded"}
    assert degraded_header(is_degraded=False) == {}


@pytest.mark.parametrize(
    ("limit", "usd", "share", "fits"),
    [
        (REQUESTS, "0", 0.1, 10),
        (REQUESTS, "0", 1.0, 100),
        (REQUESTS, "0", 0.0, 0),
        (PLACES, "0", 0.1, 5),
        (replace(PLACES, amount=Decimal(5)), "0", 0.1, 0),  # half a place is none
        (BUDGET, "0.1", 0.1, 10),
        (BUDGET, "0.03", 0.1, 33),
        (Limit("team:search", Measure.TOKENS_PER_DAY, Decimal(11_000)), "0", 0.1, 10),
        (Limit("team:search", Measure.USD_PER_30_DAYS, Decimal(10)), "0.1", 0.1, 10),
    ],
)
async def test_one_process_admits_its_share_and_no_more(
    limit: Limit, usd: str, share: float, fits: int
) -> None:
    world = World()
    world.shared.is_away = True
    route = replace(DEGRADED, degraded_share=share)
    answers = [await world.call(f"d{n}", limit, usd=usd, route=route) for n in range(120)]
    assert sum(isinstance(answer, Reserved) for answer in answers) == fits
    assert all(answer.is_degraded for answer in answers)


async def test_the_tightest_of_several_limits_counts() -> None:
    world = World()
    world.shared.is_away = True
    assert await world.admitted(20, REQUESTS, PLACES, BUDGET, usd="0.1") == 5


@pytest.mark.parametrize(
    ("spent", "fits"), [("0", 10), ("5", 5), ("9.99", 0), ("10", 0), ("12", 0)]
)
async def test_the_share_is_one_of_what_the_ledger_leaves(spent: str, fits: int) -> None:
    """So ten processes with a tenth each pass no budget."""
    world = World(spent_usd=spent)
    world.shared.is_away = True
    assert await world.admitted(20, BUDGET, usd="0.1") == fits


async def test_without_the_ledger_a_budget_is_closed_and_windows_are_not() -> None:
    world = World()
    world.shared.is_away = world.ledger.is_down = True
    assert isinstance(await world.call("a", REQUESTS), Reserved)
    with pytest.raises(PolicyUnavailable):
        await world.call("b", REQUESTS, BUDGET)


async def test_routes_with_different_shares_draw_on_the_same_counter() -> None:
    world = World()
    world.shared.is_away = True
    assert await world.admitted(20, REQUESTS) == 10
    wider = replace(DEGRADED, degraded_share=0.2)
    answers = [await world.call(f"w{n}", REQUESTS, route=wider) for n in range(20)]
    assert sum(isinstance(answer, Reserved) for answer in answers) == 10


async def test_what_was_used_is_shown_with_what_the_ledger_has() -> None:
    world = World(spent_usd="5")
    world.shared.is_away = True
    await world.call("a", BUDGET, usd="0.1")
    [state] = await world.limits.states([BUDGET], NOON)
    assert (state.used, state.limit.amount) == (Decimal("5.1"), Decimal(10))


async def test_a_ticket_is_good_once_and_the_reservation_is_the_callers_own() -> None:
    world = World()
    world.shared.is_away = True
    await world.call("a", REQUESTS)
    await world.limits.extend("a", NOON.replace(hour=13))
    redeemed = await world.limits.redeem("a", NOON)
    assert redeemed is not None
    assert redeemed.caller.limits == (REQUESTS,)
    assert redeemed.expires_at == NOON.replace(hour=13)
    assert await world.limits.redeem("a", NOON) is None


async def test_what_ends_in_an_outage_is_free_here_and_booked_for_all_when_it_is_over() -> None:
    world = World()
    world.shared.is_away = True
    assert await world.admitted(6, PLACES, BUDGET) == 5
    with pytest.raises(PolicyUnavailable):
        await world.settler.settle("dec-0", REPORT)
    assert isinstance(await world.call("next", PLACES, BUDGET), Reserved)
    await world.come_back()
    await world.keeper.step()
    [budget] = await world.shared.states([BUDGET], NOON)
    assert budget.used == USED_USD + 5 * made("x", ()).usd
    # A plugin that was told to come again does no harm.
    again = replace(REPORT, reservation=made("dec-0", (BUDGET,)))
    assert await world.settler.settle("dec-0", again) is SettleOutcome.ALREADY_SETTLED
    assert len(await world.shared.take_rows(10, 0)) == 1


@pytest.mark.parametrize("is_redeemed", [True, False])
async def test_what_is_under_way_when_it_is_over_counts_for_all_at_once(is_redeemed: bool) -> None:
    world = World(spent_usd="5")
    world.shared.is_away = True
    await world.call("a", BUDGET, PLACES, usd="0.4")
    if is_redeemed:
        assert await world.limits.redeem("a", NOON)
    await world.come_back()
    states = await world.shared.states([BUDGET, PLACES], NOON)
    assert [state.used for state in states] == [Decimal("5.4"), 1]
    # Whoever redeemed the ticket has the call; nobody else can say that it reached nobody.
    blind = UsageReport(None, Transport.RELAY, 502, ErrorClass.UNREACHABLE)
    expected = SettleOutcome.ALREADY_SETTLED if is_redeemed else SettleOutcome.SETTLED
    assert await world.settler.settle("a", blind) is expected


async def test_a_reservation_that_the_store_has_got_before_it_went_is_not_taken_twice() -> None:
    """Its answer was lost on the way, so the call was admitted alone as well."""

    class LosesAnswers(Shared):
        async def reserve(self, reservation: Reservation, amounts: Amounts, now: datetime) -> Any:
            await super().reserve(reservation, amounts, now)
            self.is_away = True
            raise PolicyUnavailable("its answer was lost")

    world = World(LosesAnswers())
    answer = await world.call("a", REQUESTS)
    assert isinstance(answer, Reserved)
    assert answer.is_degraded
    await world.come_back()
    [state] = await world.shared.states([REQUESTS], NOON)
    assert state.used == 1


async def test_a_call_that_is_booked_after_an_outage_is_booked_where_all_count() -> None:
    """However the outage ends and begins again meanwhile."""
    world = World()
    world.shared.is_away = True
    await world.call("a", BUDGET)
    await world.come_back()
    fresh = World(world.shared)  # another process, which never heard of the call
    sent = replace(REPORT, reservation=made("b", (BUDGET,)))
    assert await fresh.settler.settle("b", sent) is SettleOutcome.SETTLED
    assert fresh.limits.admitted == 0
    assert reserved_for(made("b", ())).usd == 0


async def test_the_limits_that_calls_were_admitted_from_alone_are_known_for_a_while() -> None:
    world = World()
    world.shared.is_away = True
    await world.call("a", BUDGET, REQUESTS)
    assert [limit.key for limit in world.limits.touched] == [BUDGET.key]
    assert not world.limits.was_back_for(timedelta(0))
    await world.come_back()
    assert not world.limits.was_back_for(timedelta(minutes=1))
    world.clock.advance(60)
    assert world.limits.was_back_for(timedelta(minutes=1))
    world.limits.forget_touched()
    assert world.limits.touched == ()
