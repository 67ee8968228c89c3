import asyncio
import logging
from contextlib import suppress
from datetime import datetime, timedelta

import pytest

from llm_core.errors import PolicyUnavailable
from policy_service.ports.content import ContentRow
from policy_service.ports.upkeep import Remade
from policy_service.services import background
from policy_service.services.retention import Retention
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.content import FakeContentStore


class FakeUpkeep:
    """Implements `Upkeep`; fails as often as it is told to."""

    def __init__(self, failures: tuple[Exception, ...] = ()) -> None:
        self.failures = list(failures)
        self.asked: list[tuple[datetime, int]] = []
        self.done = asyncio.Event()

    async def make_room(self, now: datetime) -> tuple[str, ...]:
        if self.failures:
            raise self.failures.pop(0)
        self.done.set()
        return ("2027-01",)

    async def drop_old(self, now: datetime, kept_months: int) -> tuple[str, ...]:
        self.asked.append((now, kept_months))
        return ("2026-08", "2026-09")

    async def remake_rollups(self, month: str, *, may_shrink: bool = False) -> Remade:
        raise NotImplementedError

    async def months(self) -> tuple[str, ...]:
        raise NotImplementedError


async def test_old_months_are_dropped_when_that_is_wanted() -> None:
    upkeep = FakeUpkeep()
    assert await Retention(upkeep, FakeClock(), kept_months=2).once() == ("2026-08", "2026-09")
    assert upkeep.asked == [(NOON, 2)]


async def test_without_a_number_of_months_there_is_room_and_nothing_is_dropped() -> None:
    upkeep = FakeUpkeep()
    assert await Retention(upkeep, FakeClock()).once() == ()
    assert upkeep.done.is_set()
    assert upkeep.asked == []


async def test_words_whose_time_is_over_are_dropped_by_the_hour() -> None:
    content = FakeContentStore()
    await content.record([words("dec_1", 1), words("dec_2", 9)])
    clock = FakeClock(NOON + timedelta(days=2))
    await Retention(FakeUpkeep(), clock, content=content).once()
    assert set(content.rows) == {"dec_2"}
    await Retention(FakeUpkeep(), clock, content=content, content_days=1).once()
    assert content.rows == {}


def words(decision_id: str, days: int) -> ContentRow:
    return ContentRow(
        decision_id=decision_id,
        at=NOON,
        organisation="acme",
        department="engineering",
        team="search",
        user=None,
        asked_model="mini",
        level="redacted",
        kept_until=NOON + timedelta(days=days),
        error_class="none",
    )


async def test_an_outage_or_a_fault_is_told_and_survived(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background, "_BACK_OFF_S", 0.001)
    upkeep = FakeUpkeep((PolicyUnavailable("away"), RuntimeError("odd")))
    with caplog.at_level(logging.INFO):
        running = asyncio.create_task(Retention(upkeep, FakeClock()).run())
        async with asyncio.timeout(10):
            await upkeep.done.wait()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    told = [record.getMessage() for record in caplog.records]
    assert told[:2] == [
        "the ledger's upkeep waits: away",
        "the ledger's upkeep stumbled and goes on",
    ]
