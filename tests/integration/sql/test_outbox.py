"""The outbox on both databases: a notice is one process's at a time, in its order, until sent."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.alerts.incident import IncidentKind, Notice, NoticeEvent, Severity, Trouble
from llm_core.alerts.routing import ChannelRule, QuietHours, Routes
from policy_service.adapters.sql.incidents import SqlIncidents
from policy_service.adapters.sql.outbox import SqlOutbox

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ROUTES = Routes((ChannelRule("ops"),))
DOWN = Trouble(IncidentKind.PROVIDER_DOWN, "deployment:a", Severity.WARNING, "a is down")


async def claim(
    outbox: SqlOutbox, owner: str = "p1", now: datetime = NOW, most: int = 100
) -> Sequence[Notice]:
    return await outbox.claim(["ops"], owner, now, now + MINUTE, most)


async def test_processes_that_claim_at_once_share_what_is_due(engine: AsyncEngine) -> None:
    troubles = [replace(DOWN, subject=f"deployment:{n}") for n in range(12)]
    await SqlIncidents(engine).see(troubles, NOW, ROUTES)
    outbox = SqlOutbox(engine)
    claims = await asyncio.gather(*(claim(outbox, f"p{n}", most=5) for n in range(4)))
    ids = [one.id for some in claims for one in some]
    assert len(ids) == len(set(ids))
    rest = await claim(outbox, "late")  # whom skipped locks left with nothing comes again
    assert len({*ids, *(one.id for one in rest)}) == len(ids) + len(rest) == 12


async def test_a_claim_runs_out_with_its_process(engine: AsyncEngine) -> None:
    await SqlIncidents(engine).see([DOWN], NOW, ROUTES)
    outbox = SqlOutbox(engine)
    [taken] = await claim(outbox)
    assert await claim(outbox, "p2") == []
    again = await claim(outbox, "p2", NOW + 2 * MINUTE)
    assert [one.id for one in again] == [taken.id]
    # The first one was only slow: what it says of a notice that is not its own is not heeded.
    await outbox.failed(taken, "p1", NOW, "too late")
    assert await claim(outbox, "p3", NOW + 2 * MINUTE) == []
    await outbox.sent([taken.id], NOW + 2 * MINUTE)
    assert await claim(outbox, "p3", NOW + 9 * MINUTE) == []
    assert await outbox.waiting() == {}


async def test_what_was_not_taken_is_due_later_and_what_follows_waits(engine: AsyncEngine) -> None:
    incidents, outbox = SqlIncidents(engine), SqlOutbox(engine)
    opened = await incidents.see([DOWN], NOW, ROUTES)
    [first] = await claim(outbox)
    await incidents.recover(opened, NOW, ROUTES)
    await outbox.failed(first, "p1", NOW + 10 * MINUTE, "it answered 503")
    assert await claim(outbox, now=NOW + 5 * MINUTE) == []
    assert await outbox.waiting() == {"ops": 2}
    [again] = await claim(outbox, now=NOW + 10 * MINUTE)
    assert (again.id, again.attempts) == (first.id, 1)
    await outbox.sent([again.id], NOW + 10 * MINUTE)
    [over] = await claim(outbox, now=NOW + 10 * MINUTE)
    assert over.event is NoticeEvent.RECOVERED


async def test_quiet_hours_hold_back_all_but_what_is_critical(engine: AsyncEngine) -> None:
    quiet = QuietHours(time(11), time(13), UTC)
    routes = Routes((ChannelRule("ops", quiet=(quiet,)),))
    incidents, outbox = SqlIncidents(engine), SqlOutbox(engine)
    worse = replace(DOWN, severity=Severity.CRITICAL, stage=1)
    await incidents.see([DOWN], NOW, routes)
    assert await claim(outbox) == []
    await incidents.see([worse], NOW, routes)
    [urgent] = await claim(outbox)
    assert urgent.event is NoticeEvent.WORSE
    await outbox.sent([urgent.id], NOW)
    [held] = await claim(outbox, now=NOW + 60 * MINUTE)
    assert held.event is NoticeEvent.OPENED


async def test_a_channel_that_is_not_there_any_more_keeps_what_is_its(engine: AsyncEngine) -> None:
    await SqlIncidents(engine).see([DOWN], NOW, Routes((ChannelRule("gone"),)))
    outbox = SqlOutbox(engine)
    assert await claim(outbox) == []
    assert await outbox.waiting() == {"gone": 1}


async def test_what_was_sent_long_ago_is_forgotten(engine: AsyncEngine) -> None:
    await SqlIncidents(engine).see([DOWN, replace(DOWN, subject="b")], NOW, ROUTES)
    outbox = SqlOutbox(engine)
    [first, _] = await claim(outbox)
    await outbox.sent([first.id], NOW)
    assert await outbox.forget(NOW) == 0
    assert await outbox.forget(NOW + MINUTE) == 1
    assert await outbox.waiting() == {"ops": 1}
