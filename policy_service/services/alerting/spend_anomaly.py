"""Hours that cost more than such an hour does."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from llm_core.alerts.anomaly import Compared, Verdict, compared_with, judged
from llm_core.alerts.incident import Incident, IncidentKind, Severity, Trouble
from llm_core.alerts.rules import SpendAnomaly, short_usd
from policy_service.periods import local
from policy_service.ports.incidents import SpentHours, Watched
from policy_service.services.alerting.watch import Sight

_HOUR = timedelta(hours=1)
_SETTLING = timedelta(minutes=5)
"""Calls come to the ledger when they end, and a little later."""

_VERY_MUCH = 4


@dataclass(frozen=True, slots=True)
class SpendAnomalyWatcher:
    """Looks at the last full hour; at a few more, once one was out of the ordinary."""

    watched: Watched
    rule: SpendAnomaly
    kind: IncidentKind = IncidentKind.SPEND_ANOMALY
    every: timedelta = timedelta(minutes=5)

    async def look(self, now: datetime, known: Mapping[str, Incident]) -> Sight:
        """See `Watcher.look`."""
        last = (now - _SETTLING).astimezone(UTC).replace(minute=0, second=0, microsecond=0) - _HOUR
        hours = [last - back * _HOUR for back in range(self.rule.calm_hours)]
        troubles: list[Trouble] = []
        for zone_name in sorted(await self.watched.time_zones()):
            zone = local(now, zone_name).tzinfo or UTC
            compared = {hour: compared_with(hour, zone, self.rule.rules.weeks) for hour in hours}
            wanted = {one for each in compared.values() for one in each.hours} | set(hours)
            for spent in await self.watched.spent_hours(self.rule.level, zone_name, wanted):
                found = await self._found(spent, compared, is_open=spent.node in known)
                if found is not None:
                    troubles.append(found)
        return Sight(tuple(troubles))

    async def _found(
        self, spent: SpentHours, compared: Mapping[datetime, Compared], *, is_open: bool
    ) -> Trouble | None:
        by_hour: dict[datetime, Decimal] = defaultdict(Decimal, spent.by_hour)
        for hour, against in compared.items():
            verdict = judged(by_hour[hour], by_hour, against, self.rule.rules)
            # Nothing is ordinary yet for whoever has just begun: a budget is for them.
            if verdict.is_anomaly and await self.watched.has_spent(spent.node, min(against.weekly)):
                return _trouble(spent, hour, verdict)
            if not is_open:
                return None  # whoever was calm in the last hour is not looked at further back
        return None


def _trouble(spent: SpentHours, hour: datetime, verdict: Verdict) -> Trouble:
    at = local(hour, spent.time_zone)
    is_much = verdict.usd > _VERY_MUCH * verdict.most_usd
    return Trouble(
        kind=IncidentKind.SPEND_ANOMALY,
        subject=spent.node,
        node=spent.node,
        severity=Severity.CRITICAL if is_much else Severity.WARNING,
        title=f"{spent.node} spent {short_usd(verdict.usd)} in an hour, which is not usual",
        detail=(
            f"In the hour from {at:%A %Y-%m-%d %H:%M %Z}; such an hour costs "
            f"{short_usd(verdict.expected_usd)}, and up to {short_usd(verdict.most_usd)} is usual."
        ),
        facts={
            "hour": hour.isoformat(),
            "usd": f"{verdict.usd:f}",
            "expected_usd": f"{verdict.expected_usd:f}",
            "most_usd": f"{verdict.most_usd:f}",
        },
        stage=1 if is_much else 0,
    )
