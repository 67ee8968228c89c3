"""How journals stand, on both databases."""

import asyncio
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.policy.journal_standing import JournalStanding
from policy_service.adapters.sql.journals import SqlJournals
from policy_service.ports.journals import HeardJournal
from tests.fakes.clock import NOON

LONG_AGO = NOON - timedelta(days=1)


def after(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def standing(waiting: int, name: str = "gw-1:/j", *, is_full: bool = False) -> JournalStanding:
    return JournalStanding(name, waiting, 0, is_full)


async def one(journals: SqlJournals) -> HeardJournal:
    [found] = await journals.newest(LONG_AGO)
    return found


async def test_it_is_known_since_when_something_waits(engine: AsyncEngine) -> None:
    journals = SqlJournals(engine)
    await journals.hear(standing(0), NOON)
    await journals.hear(standing(3), after(1))
    await journals.hear(standing(999_999_999), after(3))
    assert await one(journals) == HeardJournal(standing(999_999_999), after(3), after(1))
    await journals.hear(standing(0), after(4))
    await journals.hear(standing(0, is_full=True), after(5))
    await journals.hear(standing(1), after(6))
    assert await one(journals) == HeardJournal(standing(1), after(6), after(5))


async def test_who_was_silent_begins_anew(engine: AsyncEngine) -> None:
    journals = SqlJournals(engine)
    for minutes in (0, 3, 6.1):
        await journals.hear(standing(3), after(minutes))
    assert await one(journals) == HeardJournal(standing(3), after(6.1), after(6.1))


async def test_what_is_older_changes_nothing_whoever_writes_first(engine: AsyncEngine) -> None:
    journals = SqlJournals(engine)
    await asyncio.gather(*(journals.hear(standing(9 - n), after(n / 10)) for n in range(10)))
    assert (await one(journals)).standing == standing(0)
    await journals.hear(standing(5), NOON)
    assert (await one(journals)).standing == standing(0)


async def test_each_journal_has_its_own_and_is_forgotten_in_time(engine: AsyncEngine) -> None:
    journals = SqlJournals(engine)
    await journals.hear(standing(1, "gw-2:/j"), NOON)
    await journals.hear(standing(2, "gw-1:/j"), after(1))
    assert [found.standing.name for found in await journals.newest(NOON)] == ["gw-1:/j", "gw-2:/j"]
    assert [found.standing.name for found in await journals.newest(after(1))] == ["gw-1:/j"]
    await journals.forget(after(1))
    assert [found.standing.name for found in await journals.newest(LONG_AGO)] == ["gw-1:/j"]
