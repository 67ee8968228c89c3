"""Models that are called and have no price."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from llm_core.alerts.incident import Incident, IncidentKind, Severity, Trouble
from policy_service.ports.incidents import UnpricedCalls, Watched
from policy_service.services.alerting.watch import Sight


@dataclass(frozen=True, slots=True)
class UnpricedWatcher:
    """Goes by the decision log for what was refused, and by the ledger for what was estimated.

    Args:
        window: It is over when there was no such call for so long.
    """

    watched: Watched
    window: timedelta
    kind: IncidentKind = IncidentKind.UNPRICED_MODEL
    every: timedelta = timedelta(seconds=30)

    async def look(self, now: datetime, known: Mapping[str, Incident]) -> Sight:
        """See `Watcher.look`."""
        found = await self.watched.unpriced_calls(now - self.window)
        return Sight(tuple(_trouble(one) for one in found))


def _trouble(one: UnpricedCalls) -> Trouble:
    told = []
    if one.refused:
        told.append(f"{one.refused} calls were refused, because no permitted deployment has one.")
    if one.estimated:
        told.append(
            f"{one.estimated} calls were booked at their estimate, because what the provider "
            "reported has no price or does not fit."
        )
    return Trouble(
        kind=IncidentKind.UNPRICED_MODEL,
        subject=f"model:{one.model}",
        severity=Severity.WARNING,
        title=f"{one.model or 'A model'} lacks a price",
        detail=" ".join([*told, "Add one to the folder of POLICY_PRICES_DIR."]),
        facts={"model": one.model, "refused": one.refused, "estimated": one.estimated},
    )
