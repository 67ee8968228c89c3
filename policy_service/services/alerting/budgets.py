"""Limits that passed a threshold: an incident for each limit and period, worse with each one."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from llm_core.alerts.incident import Incident, IncidentKind, Trouble
from llm_core.alerts.routing import Routes
from llm_core.alerts.rules import severity_of_threshold, short_usd
from llm_core.errors import PolicyUnavailable
from llm_core.policy.limits import Limit, Measure, Period
from policy_service.periods import calendar_span
from policy_service.ports.alerts import Alert, Alerts
from policy_service.ports.incidents import Incidents
from policy_service.ports.ledger import Ledger
from policy_service.services.alerting.watch import Sight

_MODEL, _GROUP = "model:", "group:"


@dataclass(frozen=True, slots=True)
class BudgetTeller:
    """Implements `Teller`: what is told is an incident, and its notices are in the outbox."""

    incidents: Incidents
    routes: Routes

    async def tell(self, alert: Alert) -> bool:
        """Open the incident, or make it worse; telling again changes nothing."""
        trouble = trouble_of(alert)
        try:
            await self.incidents.see([trouble], alert.at, self.routes, tells_every_stage=True)
        except PolicyUnavailable:
            return False
        return True

    async def close(self) -> None:
        """Nothing to let go of."""


@dataclass(frozen=True, slots=True)
class BudgetWatcher:
    """Ends such an incident: when its period is over, or its limit was raised or lifted."""

    alerts: Alerts
    ledger: Ledger
    kind: IncidentKind = IncidentKind.BUDGET
    every: timedelta = timedelta(minutes=1)

    async def look(self, now: datetime, known: Mapping[str, Incident]) -> Sight:
        """See `Watcher.look`; opening is the thresholds' business."""
        still = [subject for subject, one in known.items() if await self._holds(one, now)]
        return Sight(keeps=frozenset(still))

    async def _holds(self, incident: Incident, now: datetime) -> bool:
        facts = incident.facts
        if now >= datetime.fromisoformat(facts["period_ends_at"]):
            return False
        scope = facts["scope"]
        told = Limit(
            facts["node"],
            Measure(facts["measure"]),
            Decimal(facts["amount"]),
            scope=scope,
            models=(scope.removeprefix(_MODEL),) if scope.startswith(_MODEL) else (),
            time_zone=facts["time_zone"],
        )
        limit = await self.alerts.whole(told, now)
        if limit is None:
            return False
        if limit.amount <= told.amount or scope.startswith(_GROUP):
            # Only a raise makes room within a period, and which models a group had is not known.
            return True
        used = sum((one.amount for one in await self.ledger.spent(limit, now)), Decimal(0))
        return used * 100 >= limit.amount * int(facts["percent"])


def trouble_of(alert: Alert) -> Trouble:
    """What an alert is as a trouble."""
    measure = Measure(alert.measure)
    period = measure.period if measure.period.is_calendar else Period.DAY
    zone = alert.period.partition("@")[2] or "UTC"
    facts: dict[str, Any] = msgspec.to_builtins(asdict(alert))
    scope = f" on {alert.scope}" if alert.scope else ""
    return Trouble(
        kind=IncidentKind.BUDGET,
        subject=f"{alert.limit_key}@{alert.period}",
        node=alert.node,
        severity=severity_of_threshold(alert.percent),
        title=f"{alert.node} has used {alert.percent} % of its {measure.words}{scope}",
        detail=f"{_used_of(alert.used, alert.amount, measure)} in {alert.period}",
        facts={
            "id": f"{alert.limit_key}@{alert.period}@{alert.percent}",
            **facts,
            "scope": alert.scope,
            "time_zone": zone,
            "period_ends_at": calendar_span(period, alert.at, zone).ends_at.isoformat(),
        },
        stage=alert.percent,
    )


def _used_of(used: Decimal, amount: Decimal, measure: Measure) -> str:
    if measure.is_money:
        return f"{short_usd(used).removesuffix(' USD')} of {short_usd(amount)}"
    return f"{used.normalize():,f} of {amount.normalize():,f}"
