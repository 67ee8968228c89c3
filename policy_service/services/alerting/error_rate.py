"""Models of a provider that fail too often."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from llm_core.alerts.incident import Incident, IncidentKind, Severity, Trouble
from llm_core.alerts.rules import ErrorRate
from policy_service.ports.incidents import CallCounts, Watched
from policy_service.services.alerting.watch import Sight


@dataclass(frozen=True, slots=True)
class ErrorRateWatcher:
    """Goes by the ledger's newest calls."""

    watched: Watched
    rule: ErrorRate
    kind: IncidentKind = IncidentKind.ERROR_RATE
    every: timedelta = timedelta(seconds=30)

    async def look(self, now: datetime, known: Mapping[str, Incident]) -> Sight:
        """See `Watcher.look`."""
        counts = await self.watched.call_counts(now - self.rule.window)
        return Sight(
            tuple(
                self._trouble(one)
                for one in counts
                if self.rule.is_wrong(one.calls, one.failed, is_open=_subject(one) in known)
            )
        )

    def _trouble(self, one: CallCounts) -> Trouble:
        minutes = int(self.rule.window.total_seconds() // 60)
        return Trouble(
            kind=IncidentKind.ERROR_RATE,
            subject=_subject(one),
            severity=Severity.WARNING,
            title=f"{one.failed / one.calls:.0%} of the calls of {one.provider} {one.model} fail",
            detail=f"{one.failed} of {one.calls} calls in the last {minutes} minutes.",
            facts={
                "provider": one.provider,
                "model": one.model,
                "calls": one.calls,
                "failed": one.failed,
            },
        )


def _subject(one: CallCounts) -> str:
    return f"model:{one.provider}/{one.model}"
