"""What plugins say of their journals: heard, written down, and told once."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from llm_core.alerts.incident import Incident, IncidentKind, Severity, Trouble
from llm_core.alerts.rules import JournalGrowing
from llm_core.errors import PolicyUnavailable
from llm_core.policy.journal_standing import JournalStanding, written
from policy_service.ports.journals import HeardJournal
from policy_service.services.alerting.journals import SUBJECT, JournalSightings, JournalWatcher
from policy_service.services.alerting.watch import Sight
from tests.fakes.clock import NOON, FakeClock

MINUTE = timedelta(minutes=1)


class Written:
    """Implements `Journals`: what was written, and what is read."""

    def __init__(self, *read: HeardJournal) -> None:
        self.read, self.is_away, self.fails_for = read, False, ""
        self.heard: list[tuple[JournalStanding, datetime]] = []
        self.forgotten: list[datetime] = []

    async def hear(self, standing: JournalStanding, at: datetime) -> None:
        if self.is_away or standing.name == self.fails_for:
            raise PolicyUnavailable("away")
        self.heard.append((standing, at))

    async def newest(self, since: datetime) -> Sequence[HeardJournal]:
        return [one for one in self.read if one.heard_at >= since]

    async def forget(self, before: datetime) -> None:
        self.forgotten.append(before)


def standing(name: str = "gw-1:/j", waiting: int = 5, *, is_full: bool = False) -> JournalStanding:
    return JournalStanding(name, waiting, 90 if waiting else 0, is_full)


def heard(
    name: str = "gw-1:/j", waiting: int = 5, *, minutes: int = 5, is_full: bool = False
) -> HeardJournal:
    """Now, and for so many minutes."""
    return HeardJournal(standing(name, waiting, is_full=is_full), NOON, NOON - minutes * MINUTE)


async def looked(
    *read: HeardJournal, known: Trouble | None = None, now: datetime = NOON
) -> Trouble | None:
    watcher = JournalWatcher(Written(*read), JournalGrowing())
    was = {} if known is None else {SUBJECT: incident(known)}
    sight = await watcher.look(now, was)
    assert sight.keeps == frozenset()
    return sight.troubles[0] if sight.troubles else None


def incident(one: Trouble) -> Incident:
    told = (one.kind, one.node, one.subject, one.severity, one.title, one.detail)
    return Incident("inc_1", *told, NOON, NOON, facts=dict(one.facts))


# --- hearing ------------------------------------------------------------------------------------


async def test_the_newest_of_each_journal_is_written_down_once() -> None:
    store, clock = Written(), FakeClock()
    sightings = JournalSightings(store, clock)
    for waiting in (3, 4):
        clock.advance(1)
        sightings.note(written(standing(waiting=waiting)))
    sightings.note(written(standing("gw-0:/j")))
    await sightings.step()
    await sightings.step()
    assert store.heard == [(standing("gw-0:/j"), clock()), (standing(waiting=4), clock())]


@pytest.mark.parametrize("odd", [None, "", "waiting=1", "x" * 10_000, "name=é; waiting=1"])
async def test_what_says_nothing_is_not_heard(odd: str | None) -> None:
    store = Written()
    sightings = JournalSightings(store, FakeClock())
    sightings.note(odd)
    await sightings.step()
    assert store.heard == []


async def test_what_was_heard_while_the_database_was_away_is_written_later() -> None:
    store, clock = Written(), FakeClock()
    sightings = JournalSightings(store, clock)
    for name in ("a:/j", "b:/j", "c:/j"):
        sightings.note(written(standing(name)))
    store.fails_for = "b:/j"
    with pytest.raises(PolicyUnavailable):
        await sightings.step()
    clock.advance(5)
    sightings.note(written(standing("c:/j", 9)))
    store.fails_for = ""
    await sightings.step()
    told = [(one.name, one.waiting, at) for one, at in store.heard]
    assert told == [("a:/j", 5, NOON), ("b:/j", 5, NOON), ("c:/j", 9, clock())]


async def test_names_without_end_fill_no_memory() -> None:
    store = Written()
    sightings = JournalSightings(store, FakeClock())
    for number in range(1100):
        sightings.note(written(standing(f"gw-{number:04}:/j")))
    sightings.note(written(standing("gw-0000:/j", 7)))
    await sightings.step()
    assert len(store.heard) == 1000
    assert store.heard[0][0].waiting == 7


# --- telling ------------------------------------------------------------------------------------


async def test_what_is_delivered_within_minutes_is_no_incident() -> None:
    assert await looked(heard(minutes=4), heard("gw-2:/j", 0, minutes=60)) is None


async def test_what_waits_for_minutes_is_one_incident_over_all_hosts() -> None:
    names = [f"gw-{number}:/j" for number in range(5)]
    trouble = await looked(*(heard(name) for name in names), heard("gw-9:/j", minutes=1))
    assert trouble is not None
    assert (trouble.kind, trouble.subject, trouble.severity, trouble.node, trouble.stage) == (
        *(IncidentKind.JOURNAL_GROWING, SUBJECT, Severity.WARNING, None),
        0,
    )
    assert trouble.facts == {"journals": names, "full": [], "waiting": 25, "oldest_s": 90}
    assert "gw-2:/j and 2 more" in trouble.detail


async def test_one_that_cannot_be_written_is_critical_at_once_and_worse_than_waiting() -> None:
    waits = await looked(heard())
    assert waits is not None
    full = await looked(heard(), heard("gw-2:/j", 0, minutes=0, is_full=True), known=waits)
    assert full is not None
    assert (full.severity, full.stage, full.facts["full"]) == (Severity.CRITICAL, 1, ["gw-2:/j"])
    assert full.stage > waits.stage


async def test_it_stays_until_the_journals_in_it_are_empty_whatever_others_do() -> None:
    known = await looked(heard(waiting=5000))
    assert known is not None
    still = await looked(heard(waiting=1, minutes=0), known=known)
    assert still is not None
    # Another host that has one waiting for a moment, as happens, does not keep it open.
    others = (heard(waiting=0), heard("gw-2:/j", 1, minutes=0))
    assert await looked(*others, known=known) is None


async def test_of_a_host_that_is_silent_for_an_hour_nothing_is_known() -> None:
    known = await looked(heard())
    assert known is not None
    assert await looked(heard(), known=known, now=NOON + 59 * MINUTE) is not None
    assert await looked(heard(), known=known, now=NOON + 61 * MINUTE) is None


async def test_what_was_heard_of_long_ago_is_dropped() -> None:
    store = Written()
    assert await JournalWatcher(store, JournalGrowing()).look(NOON, {}) == Sight()
    assert store.forgotten == [NOON - timedelta(days=30)]
