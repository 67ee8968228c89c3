"""Asking deployments how they are without a caller's call, and telling operators how they fare."""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from llm_core.catalogue import Catalogue, Deployment
from llm_core.routing.facts import BreakerState, DeploymentFacts
from policy_service.ports.providers import Health, Probe

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeploymentHealth:
    """How one deployment fares.

    Args:
        models: The names that callers ask for it by.
        opens_until: While the breaker is open: when it becomes half-open.
        time_to_first_token_ms: Moving average; null when nobody measured it lately.
        tokens_per_s: Moving average of streams' pace; null likewise.
        samples: Calls behind the averages.
        is_probed: Whether it is asked without a caller's call.
    """

    deployment_id: str
    models: tuple[str, ...]
    provider: str
    model: str
    region: str
    breaker: BreakerState
    opens_until: datetime | None
    time_to_first_token_ms: float | None
    tokens_per_s: float | None
    samples: int
    is_probed: bool


@dataclass(frozen=True, slots=True)
class ProvidersHealth:
    """Every deployment of the catalogue, in its order, each once."""

    deployments: tuple[DeploymentHealth, ...]


def providers_health(catalogue: Catalogue, health: Health) -> ProvidersHealth:
    """What `GET /v1/providers/health` answers; no addresses, no credentials."""
    aliases: dict[str, list[str]] = {}
    for model in catalogue.models:
        for deployment in model.deployments:
            aliases.setdefault(deployment.id, []).append(model.alias)
    return ProvidersHealth(
        tuple(
            _told(deployment, tuple(aliases[deployment.id]), health.facts(deployment.id))
            for deployment in each_deployment(catalogue)
        )
    )


def each_deployment(catalogue: Catalogue) -> Iterator[Deployment]:
    """Every deployment once, however many names it stands behind."""
    known: set[str] = set()
    for model in catalogue.models:
        for deployment in model.deployments:
            if deployment.id not in known:
                known.add(deployment.id)
                yield deployment


@dataclass(frozen=True, slots=True)
class HealthChecks:
    """Asks the deployments that wish it (`is_probed`), while calls do not tell how they are.

    That is while a breaker is half-open, and while nobody has called a deployment since the last
    round. An open one is left alone until its time is over. No check costs money, so a good answer
    closes a breaker but says nothing of how fast answers are.

    Args:
        interval_s: From one round to the next.
    """

    catalogue: Catalogue
    health: Health
    probe: Probe
    interval_s: float
    _samples: dict[str, int] = field(default_factory=dict)

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            await asyncio.sleep(self.interval_s)
            await self.check_once()

    async def check_once(self) -> None:
        """One round, all deployments at the same time."""
        probed = [one for one in each_deployment(self.catalogue) if one.is_probed]
        await asyncio.gather(*(self._check(one) for one in probed))

    async def _check(self, deployment: Deployment) -> None:
        if not await self._is_due(deployment.id):
            return
        try:
            self.health.observe(await self.probe.ask(deployment))
        except Exception:  # noqa: BLE001 - a fault here must not end the checks of the others
            _log.exception("the health of %s could not be checked", deployment.id)

    async def _is_due(self, deployment_id: str) -> bool:
        known = self.health.facts(deployment_id)
        before, self._samples[deployment_id] = (
            self._samples.get(deployment_id, 0),
            known.samples,
        )
        if known.breaker is BreakerState.CLOSED:
            return known.samples == before
        return await self.health.may_try(deployment_id)


def _told(
    deployment: Deployment, models: tuple[str, ...], known: DeploymentFacts
) -> DeploymentHealth:
    return DeploymentHealth(
        deployment_id=deployment.id,
        models=models,
        provider=deployment.provider_name,
        model=deployment.model,
        region=deployment.region,
        breaker=known.breaker,
        opens_until=known.opens_until,
        time_to_first_token_ms=_rounded(known.time_to_first_token_ms),
        tokens_per_s=_rounded(known.tokens_per_s),
        samples=known.samples,
        is_probed=deployment.is_probed,
    )


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 1)
