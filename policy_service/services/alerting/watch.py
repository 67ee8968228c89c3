"""Has every watcher look in its time, in one process at a time, and keeps what they find."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from llm_core.alerts.incident import Incident, IncidentKind, Trouble
from llm_core.alerts.routing import Routes
from llm_core.alerts.rules import AlertRules
from llm_core.errors import PolicyUnavailable
from policy_service.ports.clock import Clock
from policy_service.ports.incidents import Incidents, Leases
from policy_service.services.background import for_ever

_log = logging.getLogger(__name__)
_LEASE = "alerts"
_LEASE_S = 60.0
_INTERVAL_S = 5.0


@dataclass(frozen=True, slots=True)
class Sight:
    """What a watcher found.

    Args:
        troubles: All that is wrong now. What is open and not among it is over,
        keeps: but for these subjects: of them it cannot be told.
    """

    troubles: tuple[Trouble, ...] = ()
    keeps: frozenset[str] = frozenset()


class Watcher(Protocol):
    """Looks for incidents of one kind."""

    @property
    def kind(self) -> IncidentKind:
        """Which."""
        ...

    @property
    def every(self) -> timedelta:
        """How often to look."""
        ...

    async def look(self, now: datetime, known: Mapping[str, Incident]) -> Sight:
        """Look once.

        Args:
            now: When.
            known: What is open of this kind, by subject.

        Raises:
            PolicyUnavailable: What it asks is away; everything stays as it is.
        """
        ...


@dataclass(slots=True)
class Watch:
    """Runs in every process; the one that holds the lease looks.

    Should two look at once, after a process was held up for longer than its lease, each incident
    is opened and ended once all the same: the store sees to it.

    Args:
        owner: Names this process.
    """

    watchers: Sequence[Watcher]
    incidents: Incidents
    leases: Leases
    clock: Clock
    routes: Routes
    rules: AlertRules
    owner: str
    _looked_at: dict[IncidentKind, datetime] = field(default_factory=dict)

    async def run(self) -> None:
        """Watch until cancelled; then `finish`."""
        await for_ever("the watch for incidents", self._step_and_wait)

    async def step(self) -> None:
        """Let every watcher look whose time has come, if it is this process's turn.

        Raises:
            PolicyUnavailable: The database is away.
        """
        now = self.clock()
        if not await self.leases.hold(_LEASE, self.owner, now, _LEASE_S):
            return
        for watcher in self.watchers:
            last = self._looked_at.get(watcher.kind)
            if last is None or now >= last + watcher.every:
                self._looked_at[watcher.kind] = now
                await self._look(watcher, now)

    async def finish(self) -> None:
        """Let another process look when the service stops."""
        try:
            await self.leases.release(self.owner)
        except PolicyUnavailable as outage:
            _log.warning("the watch for incidents is not handed over: %s", outage)

    async def _step_and_wait(self) -> None:
        await self.step()
        await asyncio.sleep(_INTERVAL_S)

    async def _look(self, watcher: Watcher, now: datetime) -> None:
        """One that fails must not keep the others from looking."""
        try:
            known = await self.incidents.open_ones(watcher.kind)
            sight = await watcher.look(now, known)
            await self._keep(watcher.kind, sight, known, now)
        except PolicyUnavailable as outage:
            _log.warning("nobody looks for %s just now: %s", watcher.kind, outage)
        except Exception:  # noqa: BLE001 - whatever it is, the others must go on
            _log.exception("the watcher for %s stumbled", watcher.kind)

    async def _keep(
        self, kind: IncidentKind, sight: Sight, known: Mapping[str, Incident], now: datetime
    ) -> None:
        opened = await self.incidents.see(
            sight.troubles, now, self.routes, again_after=self.rules.again_after_for(kind)
        )
        for one in opened:
            _log.warning("incident %s (%s, %s): %s", one.id, one.kind, one.severity, one.title)
        stays = sight.keeps | {trouble.subject for trouble in sight.troubles}
        over = [one for subject, one in known.items() if subject not in stays]
        for one in await self.incidents.recover(over, now, self.routes):
            _log.warning("incident %s (%s) is over: %s", one.id, one.kind, one.title)
