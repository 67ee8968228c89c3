"""A store that loses its data loses no call as long as the process lives that booked it."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

import msgspec
import pytest

from llm_core.errors import PolicyUnavailable
from llm_core.policy.decision import Reservation, Transport, UsageReport
from llm_core.policy.limits import Amounts, Limit, Measure
from llm_core.tokens.usage import TokenUsage
from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.ports.ledger import UsageRow
from policy_service.ports.limits import Reserved, SettleOutcome
from policy_service.services import keeper
from policy_service.services.keeper import Keeper
from policy_service.services.ledger_writer import LedgerWriter
from policy_service.services.reserving import Reserving
from policy_service.services.settle import Settler, reserved_for
from policy_service.services.unconfirmed import Unconfirmed
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.ledger import FakeLedger
from tests.fixtures.reservations import reservation

BUDGET = Limit("team:search", Measure.USD_PER_MONTH, Decimal(100))
REPORT = UsageReport(
    "openai-mini", Transport.RELAY, 200, usage=TokenUsage(input_tokens=10, output_tokens=3)
)
USED_USD = Decimal("0.0000033")


class Seconds:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Store(MemoryLimitsStore):
    """Can be away, and come back empty."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False
        self.rebuilt = 0
        self.asked: list[str] = []
        self.life = "first"

    async def incarnation(self) -> str:
        return self.life

    async def settle(
        self, decision_id: str, actual: Amounts, row: bytes, now: datetime
    ) -> SettleOutcome:
        self.asked.append(decision_id)
        if self.is_away:
            raise PolicyUnavailable("away")
        return await super().settle(decision_id, actual, row, now)

    async def rebuild(self) -> int:
        self.rebuilt += 1
        return await super().rebuild()

    def lose_everything(self) -> None:
        MemoryLimitsStore.__init__(self)


@dataclass
class World:
    limits: Store = field(default_factory=Store)
    ledger: FakeLedger = field(default_factory=FakeLedger)
    seconds: Seconds = field(default_factory=Seconds)
    most_bytes: int = 1024 * 1024

    def __post_init__(self) -> None:
        self.unconfirmed = Unconfirmed(self.most_bytes, self.seconds)
        self.reserving = Reserving(self.limits, self.ledger)
        self.settler = Settler(
            self.limits, self.reserving, FakeClock(), unconfirmed=self.unconfirmed
        )
        self.keeper = Keeper(self.settler, self.ledger)

    async def reserve(self, decision_id: str) -> Reservation:
        made = reservation(decision_id, [BUDGET])
        reserved = await self.reserving.reserve(made, reserved_for(made), NOON)
        assert isinstance(reserved, Reserved)
        return made

    async def write(self) -> None:
        await LedgerWriter(self.limits, self.ledger).write_once(wait_s=0)

    async def later(self, seconds: float) -> None:
        self.seconds.now += seconds
        await self.keeper.step()

    async def used(self) -> Decimal:
        [state] = await self.limits.states([BUDGET], NOON)
        return state.used


async def test_what_the_ledger_has_is_forgotten() -> None:
    world = World()
    await world.settler.book(await world.reserve("a"), REPORT)
    await world.write()
    await world.later(1)
    assert world.unconfirmed.booked_count == 1
    await world.later(3)
    assert world.unconfirmed.booked_count == 0


async def test_a_store_that_was_started_anew_has_its_counters_remade_once() -> None:
    world = World()
    await world.later(1)
    await world.later(1)
    assert world.limits.rebuilt == 0
    world.limits.life = "second"
    await world.later(1)
    await world.later(1)
    assert world.limits.rebuilt == 1


async def test_a_row_that_the_store_lost_is_booked_again_and_once() -> None:
    world = World()
    await world.settler.book(await world.reserve("a"), REPORT)
    world.limits.lose_everything()
    await world.later(4)
    await world.later(12)
    await world.write()
    assert world.ledger.rows["a"].usd == USED_USD
    await world.later(4)
    assert world.unconfirmed.booked_count == 0
    # Its first row might have been there already: the counters are made anew.
    assert world.limits.rebuilt == 1
    await world.reserve("b")
    assert await world.used() == USED_USD + reservation("b").usd


async def test_a_lease_that_ended_and_was_lost_is_booked_again_as_an_estimate() -> None:
    world = World()
    made = await world.reserve("a")
    late = Settler(
        world.limits,
        world.reserving,
        FakeClock(made.expires_at),
        unconfirmed=world.unconfirmed,
    )
    assert await late.sweep() == 1
    world.limits.lose_everything()
    await world.later(16)
    await world.write()
    row = world.ledger.rows["a"]
    assert (row.source, row.error_class, row.usd) == ("estimated", "unreported", made.usd)


async def test_a_row_that_only_waits_is_not_doubled_and_asked_for_ever_more_rarely() -> None:
    """The ledger's writer may be far behind."""
    world = World()
    await world.settler.book(await world.reserve("a"), REPORT)
    for _ in range(100):
        await world.later(3)
    assert world.limits.asked.count("a") == 1 + 4  # after 15, 45, 105 and 225 s
    assert len(await world.limits.take_rows(10, 0)) == 1


async def test_while_the_ledger_is_away_nothing_is_taken_for_lost() -> None:
    world = World()
    await world.settler.book(await world.reserve("a"), REPORT)
    world.ledger.is_down = True
    with pytest.raises(PolicyUnavailable):
        await world.later(60)
    assert world.limits.asked == ["a"]


async def test_what_could_not_be_booked_is_booked_when_the_store_is_back() -> None:
    world = World()
    made = [await world.reserve(name) for name in "abc"]
    world.limits.is_away = True
    for one in made:
        world.unconfirmed.owes(one, REPORT)
    with pytest.raises(PolicyUnavailable):
        await world.keeper.step()
    assert world.unconfirmed.owed_count == 3
    world.limits.is_away = False
    await world.keeper.step()
    assert (world.unconfirmed.owed_count, world.unconfirmed.booked_count) == (0, 3)
    assert await world.used() == 3 * USED_USD


async def test_what_another_booked_meanwhile_is_only_looked_for() -> None:
    world = World()
    made = await world.reserve("a")
    world.unconfirmed.owes(made, REPORT)
    other = Settler(world.limits, world.reserving, FakeClock())
    await other.book(made, REPORT)
    await world.keeper.step()
    assert (world.unconfirmed.owed_count, world.unconfirmed.booked_count) == (0, 1)
    assert len(await world.limits.take_rows(10, 0)) == 1


async def test_a_call_that_cannot_be_booked_keeps_no_other_waiting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    broken = replace(await world.reserve("a"), usd=Decimal("NaN"))
    world.unconfirmed.owes(broken, replace(REPORT, usage=None))
    world.unconfirmed.owes(await world.reserve("b"), REPORT)
    await world.keeper.step()
    [row] = await world.limits.take_rows(10, 0)
    assert msgspec.json.decode(row.row, type=UsageRow).decision_id == "b"
    assert "a cannot be booked" in caplog.text


async def test_the_keeper_goes_on_for_ever_and_finishes_what_it_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeper, "_INTERVAL_S", 0.001)
    world = World()
    task = asyncio.create_task(world.keeper.run())
    world.unconfirmed.owes(await world.reserve("a"), REPORT)
    async with asyncio.timeout(10):
        while not world.unconfirmed.booked_count:  # noqa: ASYNC110 - it knows no events
            await asyncio.sleep(0.001)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    world.unconfirmed.owes(await world.reserve("b"), REPORT)
    await world.keeper.finish()
    assert len(await world.limits.take_rows(10, 0)) == 2


async def test_what_stays_owed_when_the_service_stops_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    world.unconfirmed.owes(await world.reserve("a"), REPORT)
    world.limits.is_away = True
    await world.keeper.finish()
    assert "1 calls could not be booked" in caplog.text


# --- what is remembered


def fill(unconfirmed: Unconfirmed, names: Sequence[str], *, is_booked: bool) -> None:
    for name in names:
        if is_booked:
            unconfirmed.booked(reservation(name), REPORT)
        else:
            unconfirmed.owes(reservation(name), REPORT)


def test_memory_is_bounded_and_what_is_booked_makes_room_first(
    caplog: pytest.LogCaptureFixture,
) -> None:
    unconfirmed = Unconfirmed(most_bytes=20_000, now_s=Seconds())
    fill(unconfirmed, [f"booked-{number}" for number in range(50)], is_booked=True)
    kept = unconfirmed.booked_count
    assert 2 < kept < 50
    assert "the ledger is far behind" in caplog.text
    assert len(caplog.records) == 1  # and not one line each
    fill(unconfirmed, ["owed-1"], is_booked=False)
    assert (unconfirmed.owed_count, unconfirmed.booked_count) == (1, kept - 1)


def test_a_call_that_could_not_be_booked_goes_only_when_nothing_else_does_and_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    unconfirmed = Unconfirmed(most_bytes=20_000, now_s=Seconds())
    fill(unconfirmed, [f"owed-{number}" for number in range(50)], is_booked=False)
    assert 2 < unconfirmed.owed_count < 50
    assert "no room to remember owed-0" in caplog.text


def test_what_is_remembered_of_a_call_already_stays() -> None:
    unconfirmed = Unconfirmed(now_s=Seconds())
    made = reservation("a")
    unconfirmed.booked(made, REPORT)
    unconfirmed.owes(made, REPORT)
    assert (unconfirmed.owed_count, unconfirmed.booked_count) == (0, 1)
    assert unconfirmed.confirmed(["a"]) is False
    assert (unconfirmed.owed_count, unconfirmed.booked_count) == (0, 0)


def test_a_report_is_remembered_without_what_it_brought_along() -> None:
    unconfirmed = Unconfirmed(now_s=Seconds())
    made = reservation("a")
    unconfirmed.owes(made, replace(REPORT, reservation=made))
    [booking] = unconfirmed.owed(1)
    assert (booking.reservation, booking.report) == (made, REPORT)
