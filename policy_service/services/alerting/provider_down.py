"""Deployments that cannot be called, by their breakers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from llm_core.alerts.incident import Incident, IncidentKind, Severity, Trouble
from llm_core.catalogue import Catalogue, Deployment
from llm_core.routing.facts import BreakerState
from policy_service.ports.providers import Health
from policy_service.services.alerting.watch import Sight
from policy_service.services.health import each_deployment


@dataclass(slots=True)
class ProviderDownWatcher:
    """A deployment is down when its breaker has not been closed for a while.

    It is over when the breaker closes: a call, or a check, has found it well.
    """

    catalogue: Catalogue
    health: Health
    after: timedelta
    kind: IncidentKind = IncidentKind.PROVIDER_DOWN
    every: timedelta = timedelta(seconds=5)
    _since: dict[str, datetime] = field(default_factory=dict)

    async def look(self, now: datetime, known: Mapping[str, Incident]) -> Sight:
        """See `Watcher.look`."""
        troubles: list[Trouble] = []
        for deployment in each_deployment(self.catalogue):
            if self._is_well(deployment):
                self._since.pop(deployment.id, None)
                continue
            since = self._since.setdefault(deployment.id, now)
            if now - since >= self.after or _subject(deployment) in known:
                troubles.append(self._trouble(deployment))
        return Sight(tuple(troubles))

    def _is_well(self, deployment: Deployment) -> bool:
        return self.health.facts(deployment.id).breaker is BreakerState.CLOSED

    def _trouble(self, deployment: Deployment) -> Trouble:
        behind = [one for one in self.catalogue.models if deployment in one.deployments]
        unserved = [one.alias for one in behind if not any(map(self._is_well, one.deployments))]
        detail = f"It serves {', '.join(one.alias for one in behind)}."
        if unserved:
            detail += f" Nothing else is well for {', '.join(unserved)}: such calls fail."
        return Trouble(
            kind=IncidentKind.PROVIDER_DOWN,
            subject=_subject(deployment),
            severity=Severity.CRITICAL if unserved else Severity.WARNING,
            title=f"{deployment.id} ({deployment.provider_name}, {deployment.region}) is down",
            detail=detail,
            facts={
                "deployment_id": deployment.id,
                "provider": deployment.provider_name,
                "unserved": unserved,
            },
            stage=1 if unserved else 0,
        )


def _subject(deployment: Deployment) -> str:
    return f"deployment:{deployment.id}"
