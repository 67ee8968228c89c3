"""A soft threshold is told once in its period, and only when it is true."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from llm_core.errors import PolicyUnavailable
from llm_core.policy.limits import Limit, LimitState, Measure
from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.ports.alerts import Alert
from policy_service.ports.limits import Spent
from policy_service.services.thresholds import Thresholds
from tests.fakes.clock import NOON, FakeClock

MONTH = Limit("team:search", Measure.USD_PER_MONTH, Decimal(100))
SLIDING = Limit("team:search", Measure.TOKENS_PER_24_HOURS, Decimal(1000), scope="group:big")


class Counters(MemoryLimitsStore):
    """Shows what the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.used: dict[str, Decimal] = {}
        self.asked: list[str] = []
        self.is_away = False

    async def states(self, limits: Collection[Limit], now: datetime) -> tuple[LimitState, ...]:  # type: ignore[override]
        if self.is_away:
            raise PolicyUnavailable("away")
        self.asked += [limit.key for limit in limits]
        return tuple(LimitState(limit, self.used.get(limit.key, Decimal(0)), 0) for limit in limits)


class Sums:
    """Implements `Ledger.spent`."""

    def __init__(self) -> None:
        self.spent_by_key: dict[str, Decimal] = {}

    async def spent(
        self, limit: Limit, now: datetime, without: Collection[str] = ()
    ) -> tuple[Spent, ...]:
        # Two buckets, as a sliding period has.
        half = self.spent_by_key.get(limit.key, Decimal(0)) / 2
        return (Spent(now, half), Spent(now, half))


class Noted:
    """Implements `Alerts`."""

    def __init__(self) -> None:
        self.alerts: dict[tuple[str, str, int], Alert] = {}
        self.untold_keys: set[tuple[str, str, int]] = set()
        self.whole_amounts: dict[str, Decimal | None] = {}

    async def whole(self, limit: Limit, now: datetime) -> Limit | None:
        amount = self.whole_amounts.get(limit.key, limit.amount)
        return None if amount is None else replace(limit, amount=amount)

    async def add(self, alert: Alert) -> bool:
        key = (alert.limit_key, alert.period, alert.percent)
        if key in self.alerts:
            return False
        self.alerts[key] = alert
        self.untold_keys.add(key)
        return True

    async def told(self, alert: Alert) -> None:
        self.untold_keys.discard((alert.limit_key, alert.period, alert.percent))

    async def untold(self, before: datetime, most: int) -> tuple[Alert, ...]:
        found = [self.alerts[key] for key in self.untold_keys]
        return tuple(alert for alert in found if alert.at < before)[:most]

    async def recent(self, most: int, nodes: Collection[str] | None = None) -> tuple[Alert, ...]:
        return tuple(self.alerts.values())[:most]


@dataclass
class Told:
    """Implements `Teller`."""

    alerts: list[Alert] = field(default_factory=list)
    is_deaf: bool = False

    async def tell(self, alert: Alert) -> bool:
        if not self.is_deaf:
            self.alerts.append(alert)
        return not self.is_deaf

    async def close(self) -> None:
        """Nothing to let go of."""


class World:
    def __init__(self, noted: Noted | None = None) -> None:
        self.counters, self.sums, self.noted = Counters(), Sums(), noted or Noted()
        self.told, self.clock = Told(), FakeClock()
        self.thresholds = Thresholds(
            self.counters,
            self.sums,  # type: ignore[arg-type] # only sums are asked for
            self.noted,
            self.clock,
            (50, 80, 100),
            self.told,
        )

    async def use(self, limit: Limit, counted: str, booked: str | None = None) -> None:
        self.counters.used[limit.key] = Decimal(counted)
        self.sums.spent_by_key[limit.key] = Decimal(counted if booked is None else booked)
        self.thresholds.moved([limit])
        await self.thresholds.step()

    @property
    def percents(self) -> list[int]:
        return [alert.percent for alert in self.told.alerts]


async def test_each_threshold_is_told_once_when_it_is_reached(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    for used in ("49.99", "50", "50.01", "81", "99", "100", "120"):
        await world.use(MONTH, used)
    assert world.percents == [50, 80, 100]
    assert world.told.alerts[0] == Alert(
        "team:search:usd_per_month",
        "2026-11",
        50,
        "team:search",
        "usd_per_month",
        NOON,
        Decimal(50),
        Decimal(100),
    )
    assert "team:search:usd_per_month has used 80 %" in caplog.text
    assert world.noted.untold_keys == set()


async def test_a_big_step_tells_of_every_threshold_that_it_passed() -> None:
    world = World()
    await world.use(MONTH, "90")
    assert world.percents == [50, 80]


async def test_the_next_period_begins_anew() -> None:
    world = World()
    await world.use(MONTH, "55")
    world.clock.now = datetime(2026, 12, 1, tzinfo=UTC)
    await world.use(MONTH, "55")
    assert [alert.period for alert in world.told.alerts] == ["2026-11", "2026-12"]


async def test_a_month_is_the_organisations_own() -> None:
    world = World()
    world.clock.now = datetime(2026, 11, 30, 20, tzinfo=UTC)
    await world.use(replace(MONTH, time_zone="Asia/Tokyo"), "55")
    assert world.told.alerts[0].period == "2026-12@Asia/Tokyo"


async def test_a_sliding_limit_is_told_of_once_a_day_at_most() -> None:
    world = World()
    for _ in range(3):
        await world.use(SLIDING, "600")
        world.clock.advance(60 * 60)
    world.clock.advance(24 * 60 * 60)
    await world.use(SLIDING, "600")
    assert [alert.period for alert in world.told.alerts] == ["2026-11-20", "2026-11-21"]
    assert world.told.alerts[0].scope == "group:big"


async def test_two_processes_tell_once_between_them() -> None:
    noted = Noted()
    first, second = World(noted), World(noted)
    await first.use(MONTH, "55")
    await second.use(MONTH, "55")
    assert (first.percents, second.percents) == ([50], [])


async def test_reserved_is_not_used_and_is_looked_at_again() -> None:
    world = World()
    await world.use(MONTH, "85", booked="10")
    assert world.percents == []
    # The last call of the day is booked, and nothing else moves the limit any more.
    world.sums.spent_by_key[MONTH.key] = Decimal(60)
    await world.thresholds.step()
    assert world.percents == []
    world.clock.advance(5)
    await world.thresholds.step()
    assert world.percents == [50]


async def test_a_batch_call_tells_of_the_whole_limit_and_not_of_its_part() -> None:
    """What a batch call may fill is less than the limit."""
    world = World()
    world.noted.whole_amounts[MONTH.key] = Decimal(200)
    await world.use(MONTH, "99")
    assert world.percents == []
    await world.use(MONTH, "100")
    assert [(alert.percent, alert.amount) for alert in world.told.alerts] == [(50, Decimal(200))]


async def test_a_limit_that_is_gone_and_one_of_nothing_are_told_of_by_nobody() -> None:
    world = World()
    world.noted.whole_amounts[MONTH.key] = None
    await world.use(MONTH, "99")
    await world.use(replace(MONTH, node="team:none", amount=Decimal(0)), "0")
    assert world.percents == []


async def test_limits_by_the_minute_are_not_looked_at() -> None:
    world = World()
    per_minute = (Measure.REQUESTS_PER_MINUTE, Measure.TOKENS_PER_MINUTE)
    for measure in (*per_minute, Measure.CONCURRENT_REQUESTS):
        await world.use(Limit("team:search", measure, Decimal(1)), "1")
    assert world.counters.asked == []


async def test_many_calls_in_between_look_once() -> None:
    world = World()
    for _ in range(100):
        world.thresholds.moved([MONTH])
    await world.thresholds.step()
    await world.thresholds.step()
    assert world.counters.asked == [MONTH.key]


async def test_an_outage_forgets_nothing() -> None:
    world = World()
    world.counters.is_away = True
    with pytest.raises(PolicyUnavailable):
        await world.use(MONTH, "55")
    world.counters.is_away = False
    await world.thresholds.step()
    assert world.percents == [50]


async def test_whom_nobody_heard_is_told_again_also_by_another_process() -> None:
    world = World()
    world.told.is_deaf = True
    await world.use(MONTH, "55")
    other = World(world.noted)
    other.clock.advance(5)
    await other.thresholds.step()
    assert other.percents == []  # whoever noticed may be at it
    other.clock.advance(10)
    await other.thresholds.step()
    assert other.percents == [50]
    other.clock.advance(20)
    await other.thresholds.step()
    assert other.percents == [50]
