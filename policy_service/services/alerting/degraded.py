"""Calls that were admitted without the shared limits, and what they overspent.

Each process knows only what it has admitted itself, so every one of them tells; the one that
watches ends it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from llm_core.alerts.incident import Incident, IncidentKind, Severity, Trouble
from llm_core.alerts.routing import Routes
from llm_core.alerts.rules import AlertRules
from llm_core.policy.limits import Limit, Measure
from policy_service.ports.alerts import Alerts
from policy_service.ports.clock import Clock
from policy_service.ports.incidents import Incidents
from policy_service.ports.ledger import Ledger
from policy_service.services.alerting.watch import Sight
from policy_service.services.background import for_ever
from policy_service.services.degraded import DegradableLimits

_AWAY = "limits:shared"
_INTERVAL_S = 5.0
_SETTLING = timedelta(minutes=5)
"""Until everything that was admitted alone is in the ledger."""

_QUIET = timedelta(seconds=60)
"""When no process has said for so long that it admits alone, none does."""


@dataclass(slots=True)
class DegradedSighting:
    """Tells what this process has admitted alone; runs in every process."""

    degradable: DegradableLimits
    alerts: Alerts
    ledger: Ledger
    incidents: Incidents
    clock: Clock
    routes: Routes
    rules: AlertRules
    _told_admitted: int = 0

    async def run(self) -> None:
        """Tell until cancelled."""
        await for_ever("the sighting of degraded limits", self._step_and_wait)

    async def step(self) -> None:
        """Tell once.

        Raises:
            PolicyUnavailable: The database is away; it is told when that is back.
        """
        now = self.clock()
        troubles: list[Trouble] = []
        if self.degradable.is_away and self.degradable.admitted > self._told_admitted:
            troubles.append(_away(self.degradable.admitted - self._told_admitted))
        elif not self.degradable.is_away:
            troubles += await self._overspent(now)
            self._told_admitted = self.degradable.admitted
        if troubles:
            again_after = self.rules.again_after_for(IncidentKind.DEGRADED)
            await self.incidents.see(troubles, now, self.routes, again_after=again_after)
        if self.degradable.was_back_for(_SETTLING):
            self.degradable.forget_touched()

    async def _step_and_wait(self) -> None:
        await self.step()
        await asyncio.sleep(_INTERVAL_S)

    async def _overspent(self, now: datetime) -> Sequence[Trouble]:
        found: list[Trouble] = []
        for touched in self.degradable.touched:
            limit = await self.alerts.whole(touched, now)
            if limit is None:
                continue
            used = sum((one.amount for one in await self.ledger.spent(limit, now)), Decimal(0))
            if used > limit.amount:
                found.append(_overspend(limit, used))
        return found


@dataclass(frozen=True, slots=True)
class DegradedWatcher:
    """Ends it: when no process admits alone, and when a limit is not passed any more."""

    alerts: Alerts
    ledger: Ledger
    kind: IncidentKind = IncidentKind.DEGRADED
    every: timedelta = timedelta(seconds=15)

    async def look(self, now: datetime, known: Mapping[str, Incident]) -> Sight:
        """See `Watcher.look`; opening is the sightings' business."""
        still = [one.subject for one in known.values() if await self._holds(one, now)]
        return Sight(keeps=frozenset(still))

    async def _holds(self, incident: Incident, now: datetime) -> bool:
        if incident.subject == _AWAY:
            return now < incident.last_seen_at + _QUIET
        facts = incident.facts
        told = Limit(
            facts["node"],
            Measure(facts["measure"]),
            Decimal(facts["amount"]),
            scope=facts["scope"],
            models=tuple(facts["models"]),
            time_zone=facts["time_zone"],
        )
        limit = await self.alerts.whole(told, now)
        if limit is None:
            return False
        used = sum((one.amount for one in await self.ledger.spent(limit, now)), Decimal(0))
        return used > limit.amount


def _away(admitted: int) -> Trouble:
    return Trouble(
        kind=IncidentKind.DEGRADED,
        subject=_AWAY,
        severity=Severity.WARNING,
        title="Calls are admitted without the shared limits",
        detail=f"The store of limits cannot be asked. One process has admitted {admitted} calls "
        "from its share of what is left.",
        facts={"admitted": admitted},
    )


def _overspend(limit: Limit, used: Decimal) -> Trouble:
    return Trouble(
        kind=IncidentKind.DEGRADED,
        subject=f"limit:{limit.key}",
        node=limit.node,
        severity=Severity.CRITICAL,
        title=f"{limit.node} has overspent its {limit.measure.words} while the shared limits were "
        "away",
        detail=f"{used.normalize():,f} of {limit.amount.normalize():,f} are used.",
        facts={
            "node": limit.node,
            "measure": limit.measure.value,
            "amount": f"{limit.amount:f}",
            "scope": limit.scope,
            "models": list(limit.models),
            "time_zone": limit.time_zone,
            "used": f"{used:f}",
        },
    )
