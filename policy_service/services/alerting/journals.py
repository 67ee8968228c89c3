"""Usage reports that wait on Kong's hosts although the service can be reached.

Every report may say how its plugin's journal stands. Each process hears some of it and writes the
newest down; the one that watches opens one incident over all journals.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from llm_core.alerts.incident import Incident, IncidentKind, Severity, Trouble
from llm_core.alerts.rules import JournalGrowing
from llm_core.errors import PolicyUnavailable
from llm_core.policy.journal_standing import JournalStanding, read
from policy_service.ports.clock import Clock
from policy_service.ports.journals import HeardJournal, Journals
from policy_service.services.alerting.watch import Sight
from policy_service.services.background import for_ever

SUBJECT = "journals:usage"
_INTERVAL_S = 5.0
_MOST = 1000
"""Journals that a process keeps in mind between two writes."""

_SILENT = timedelta(hours=1)
"""Of one that has said nothing for so long nothing is known any more: its host may be gone."""

_KEPT = timedelta(days=30)
_MOST_TOLD = 3


@dataclass(slots=True)
class JournalSightings:
    """Hears what plugins say of their journals; runs in every process."""

    journals: Journals
    clock: Clock
    _heard: dict[str, tuple[JournalStanding, datetime]] = field(default_factory=dict)

    def note(self, header: str | None) -> None:
        """Hear what a report said; anything odd says nothing."""
        standing = None if header is None else read(header)
        if standing is not None and (standing.name in self._heard or len(self._heard) < _MOST):
            self._heard[standing.name] = (standing, self.clock())

    async def run(self) -> None:
        """Write down what is heard until cancelled."""
        await for_ever("the writing down of journals", self._step_and_wait)

    async def step(self) -> None:
        """Write down what was heard.

        Raises:
            PolicyUnavailable: The database is away; what is not written yet is kept.
        """
        heard, self._heard = self._heard, {}
        try:
            while heard:
                name = min(heard)  # in one order, so that two processes do not lock
                await self.journals.hear(*heard[name])
                del heard[name]
        except PolicyUnavailable:
            self._heard = {**heard, **self._heard}
            raise

    async def _step_and_wait(self) -> None:
        await self.step()
        await asyncio.sleep(_INTERVAL_S)


@dataclass(frozen=True, slots=True)
class JournalWatcher:
    """Opens the incident, and ends it when nothing is wrong any more with the journals in it."""

    journals: Journals
    rule: JournalGrowing
    kind: IncidentKind = IncidentKind.JOURNAL_GROWING
    every: timedelta = timedelta(seconds=15)

    async def look(self, now: datetime, known: Mapping[str, Incident]) -> Sight:
        """See `Watcher.look`."""
        await self.journals.forget(now - _KEPT)
        is_open = SUBJECT in known
        told_of = set(known[SUBJECT].facts["journals"]) if is_open else set()
        wrong = [
            one
            for one in await self.journals.newest(now - _SILENT)
            if self._is_wrong(one, is_open=one.standing.name in told_of)
        ]
        return Sight((_trouble(wrong),) if wrong else ())

    def _is_wrong(self, one: HeardJournal, *, is_open: bool) -> bool:
        standing = one.standing
        return self.rule.is_wrong(
            standing.waiting,
            one.heard_at - one.since,
            is_full=standing.is_full,
            is_open=is_open,
        )


def _trouble(wrong: Sequence[HeardJournal]) -> Trouble:
    standings = [one.standing for one in wrong]
    full = [one.name for one in standings if one.is_full]
    waiting = sum(one.waiting for one in standings)
    oldest_s = max(one.oldest_s for one in standings)
    if full:
        title = f"The journal {_listed(full)} cannot be written: usage reports are lost"
        detail = (
            "Calls whose report is lost are charged at their estimate. Look at the owner of the "
            f"journal's folder and at its disk. Reports that wait: {waiting:,}."
        )
    else:
        title = f"Usage reports wait on Kong's hosts although the service is there: {waiting:,}"
        detail = (
            f"In {_listed([one.name for one in standings])}; the oldest for {oldest_s:,} seconds. "
            "The plugins' log says why they are not taken."
        )
    return Trouble(
        kind=IncidentKind.JOURNAL_GROWING,
        subject=SUBJECT,
        severity=Severity.CRITICAL if full else Severity.WARNING,
        title=title,
        detail=detail,
        facts={
            "journals": [one.name for one in standings],
            "full": full,
            "waiting": waiting,
            "oldest_s": oldest_s,
        },
        stage=1 if full else 0,
    )


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_TOLD
    return ", ".join(names[:_MOST_TOLD]) + (f" and {more} more" if more > 0 else "")
