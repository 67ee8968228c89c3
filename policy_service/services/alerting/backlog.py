"""Usage rows that pile up before the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from llm_core.alerts.incident import Incident, IncidentKind, Severity, Trouble
from llm_core.alerts.rules import Backlog
from policy_service.ports.limits import LimitsStore
from policy_service.services.alerting.watch import Sight

_SUBJECT = "queue:ledger"


@dataclass(frozen=True, slots=True)
class BacklogWatcher:
    """Counts what waits in the store of limits."""

    limits: LimitsStore
    rule: Backlog
    kind: IncidentKind = IncidentKind.BACKLOG
    every: timedelta = timedelta(seconds=15)

    async def look(self, now: datetime, known: Mapping[str, Incident]) -> Sight:
        """See `Watcher.look`."""
        waiting = (await self.limits.backlog()).rows
        if not self.rule.is_wrong(waiting, is_open=_SUBJECT in known):
            return Sight()
        return Sight(
            (
                Trouble(
                    kind=IncidentKind.BACKLOG,
                    subject=_SUBJECT,
                    severity=Severity.WARNING,
                    title=f"{waiting:,} calls wait to be written into the ledger",
                    detail="Nothing is lost while they wait; reports lag behind. Look at the "
                    "database, and at the log for what the ledger writer says.",
                    facts={"rows": waiting},
                ),
            )
        )
