import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict

import msgspec
import pytest

from llm_core.errors import PolicyUnavailable
from llm_core.policy.decision import ErrorClass, Transport, UsageReport
from llm_core.policy.limits import Amounts
from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.ports.ledger import UsageRow
from policy_service.ports.limits import QueuedRow
from policy_service.services import background, ledger_writer
from policy_service.services.ledger_writer import LedgerWriter, Sweeper
from policy_service.services.reserving import Reserving
from policy_service.services.settle import Settler
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.ledger import FakeLedger
from tests.fakes.samples import USAGE_ROW
from tests.fixtures.reservations import amounts, reservation


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_BACK_OFF_S", 0.001)
    monkeypatch.setattr(ledger_writer, "_GATHER_S", 0.001, raising=False)


async def queue(limits: MemoryLimitsStore, *decision_ids: str) -> None:
    """Settle a call each, so that its row waits for the ledger."""
    settler = Settler(limits, Reserving(limits, FakeLedger()), FakeClock())
    for decision_id in decision_ids:
        made = reservation(decision_id)
        await limits.reserve(made, Amounts(1, 0, 0, made.usd), NOON)
        await settler.book(made, UsageReport(None, Transport.RELAY, 502, ErrorClass.UNREACHABLE))


async def until(ledger: FakeLedger, count: int) -> None:
    async with asyncio.timeout(10):
        while len(ledger.rows) < count:  # noqa: ASYNC110 - the ledger knows no events
            await asyncio.sleep(0.001)


async def stop(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_batch_is_written_and_acknowledged() -> None:
    limits, ledger = MemoryLimitsStore(redelivery_s=0), FakeLedger()
    await queue(limits, "a", "b")
    writer = LedgerWriter(limits, ledger)
    assert await writer.write_once() == 2
    assert sorted(ledger.rows) == ["a", "b"]
    assert await limits.take_rows(10, 0) == ()


async def test_rows_that_the_store_had_forgotten_make_the_counters_anew(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Counters that were set up meanwhile may lack them."""

    class Forgetful(MemoryLimitsStore):
        rebuilt = 0
        is_away = True

        async def acknowledge(self, rows: Sequence[QueuedRow]) -> bool:
            await super().acknowledge(rows)
            return False

        async def rebuild(self) -> int:
            if self.is_away:
                self.is_away = False
                raise PolicyUnavailable("away again")
            self.rebuilt += 1
            return await super().rebuild()

    limits, ledger = Forgetful(), FakeLedger()
    await queue(limits, "a")
    writer = LedgerWriter(limits, ledger)
    with pytest.raises(PolicyUnavailable):
        await writer.write_once()
    assert list(ledger.rows) == ["a"]
    assert await writer.write_once(wait_s=0) == 0
    assert limits.rebuilt == 1
    assert "set up anew" in caplog.text


async def test_a_row_stays_queued_while_the_ledger_is_away_and_is_written_afterwards(
    caplog: pytest.LogCaptureFixture,
) -> None:
    limits, ledger = MemoryLimitsStore(redelivery_s=0.01), FakeLedger()
    ledger.is_down = True
    await queue(limits, "a")
    with caplog.at_level(logging.WARNING):
        task = asyncio.create_task(LedgerWriter(limits, ledger).run())
        async with asyncio.timeout(10):
            while "waits" not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
    ledger.is_down = False
    await until(ledger, 1)
    await stop(task)


async def test_a_batch_that_an_outage_stopped_does_not_wait_to_be_given_out_again() -> None:
    limits, ledger = MemoryLimitsStore(redelivery_s=3600), FakeLedger()
    await queue(limits, "a", "b")
    writer = LedgerWriter(limits, ledger)
    ledger.is_down = True
    with pytest.raises(PolicyUnavailable):
        await writer.write_once()
    ledger.is_down = False
    assert await writer.write_once() == 2
    assert sorted(ledger.rows) == ["a", "b"]
    assert await writer.write_once(wait_s=0) == 0


async def test_a_fault_is_survived(caplog: pytest.LogCaptureFixture) -> None:
    class Stumbling(FakeLedger):
        stumbles = 2

        async def record(self, rows: Sequence[UsageRow]) -> None:
            if self.stumbles:
                self.stumbles -= 1
                raise RuntimeError("oh")
            await super().record(rows)

    limits, ledger = MemoryLimitsStore(redelivery_s=0.01), Stumbling()
    await queue(limits, "a")
    task = asyncio.create_task(LedgerWriter(limits, ledger).run())
    await until(ledger, 1)
    await stop(task)
    assert "stumbled and goes on" in caplog.text


@pytest.mark.parametrize("unreadable", [b"{}", b"nonsense", b'"\xff"'])
async def test_a_row_nobody_can_read_is_logged_and_holds_up_no_other(
    unreadable: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    limits, ledger = MemoryLimitsStore(redelivery_s=0), FakeLedger()
    await limits.reserve(reservation("x"), amounts(), NOON)
    await limits.settle("x", amounts(), unreadable, NOON)
    await queue(limits, "a")
    assert await LedgerWriter(limits, ledger).write_once() == 2
    assert list(ledger.rows) == ["a"]
    assert "cannot be read" in caplog.text
    assert await limits.take_rows(10, 0) == ()


async def test_a_row_that_the_version_before_queued_is_written() -> None:
    """It knew fewer columns, and those of the version after are passed over."""
    limits, ledger = MemoryLimitsStore(redelivery_s=0), FakeLedger()
    row = {**asdict(USAGE_ROW), "of_the_version_after": 1}
    del row["cached_audio_tokens"]
    await limits.reserve(reservation(USAGE_ROW.decision_id), amounts(), NOON)
    await limits.settle(USAGE_ROW.decision_id, amounts(), msgspec.json.encode(row), NOON)
    assert await LedgerWriter(limits, ledger).write_once() == 1
    assert ledger.rows == {USAGE_ROW.decision_id: USAGE_ROW}


async def test_what_waits_when_the_service_stops_is_still_written() -> None:
    """A store in memory ends with its process; its last rows once did as well."""
    limits, ledger = MemoryLimitsStore(), FakeLedger()
    writer = LedgerWriter(limits, ledger)
    task = asyncio.create_task(writer.run())
    await asyncio.sleep(0)
    await stop(task)
    await queue(limits, *(f"d{number}" for number in range(7)))
    await writer.finish()
    assert len(ledger.rows) == 7


async def test_a_batch_that_is_being_written_when_the_service_stops_is_written_to_its_end() -> None:
    class Slow(FakeLedger):
        def __init__(self) -> None:
            super().__init__()
            self.began, self.may_end = asyncio.Event(), asyncio.Event()

        async def record(self, rows: Sequence[UsageRow]) -> None:
            self.began.set()
            await self.may_end.wait()
            await super().record(rows)

    limits, ledger = MemoryLimitsStore(), Slow()
    await queue(limits, "a")
    writer = LedgerWriter(limits, ledger)
    task = asyncio.create_task(writer.run())
    await ledger.began.wait()
    await stop(task)
    finishing = asyncio.create_task(writer.finish())
    await asyncio.sleep(0)
    assert not finishing.done()
    ledger.may_end.set()
    await finishing
    assert list(ledger.rows) == ["a"]
    assert await limits.take_rows(10, 0) == ()


async def test_stopping_does_not_fail_when_the_ledger_is_away(
    caplog: pytest.LogCaptureFixture,
) -> None:
    limits, ledger = MemoryLimitsStore(), FakeLedger()
    ledger.is_down = True
    await queue(limits, "a")
    await LedgerWriter(limits, ledger).finish()
    assert "left in the queue" in caplog.text


async def test_the_sweeper_ends_leases_until_it_is_stopped() -> None:
    limits, clock = MemoryLimitsStore(), FakeClock()
    made = reservation("a")
    await limits.reserve(made, Amounts(1, 10, 100, made.usd), NOON)
    settler = Settler(limits, Reserving(limits, FakeLedger()), clock)
    task = asyncio.create_task(Sweeper(settler, 0.001).run())
    clock.advance(301)
    [row] = await limits.take_rows(1, 10)
    await stop(task)
    assert msgspec.json.decode(row.row)["source"] == "estimated"
