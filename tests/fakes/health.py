"""Health as the test says; what was observed is kept."""

from datetime import timedelta

from llm_core.routing.facts import UNKNOWN, BreakerState, DeploymentFacts, Observation
from tests.fakes.clock import NOON


class FakeHealth:
    """Implements `Health`.

    Args:
        resting_s: Deployments whose breaker is open, and for how many seconds from noon.
    """

    def __init__(self, resting_s: dict[str, float] | None = None) -> None:
        self.resting_s = resting_s or {}
        self.observed: list[Observation] = []
        self.asked: list[str] = []

    def facts(self, deployment_id: str) -> DeploymentFacts:
        """Unknown, unless it rests."""
        if deployment_id not in self.resting_s:
            return UNKNOWN
        until = NOON + timedelta(seconds=self.resting_s[deployment_id])
        return DeploymentFacts(BreakerState.OPEN, opens_until=until)

    def observe(self, observation: Observation) -> None:
        """Keep it."""
        self.observed.append(observation)

    async def may_try(self, deployment_id: str) -> bool:
        """Whether it does not rest."""
        self.asked.append(deployment_id)
        return deployment_id not in self.resting_s
