"""Deployments that fare as the test says."""

from collections.abc import Mapping

from llm_core.routing.facts import UNKNOWN, BreakerState, DeploymentFacts, Observation


class KnownHealth:
    """Implements `Health`; every deployment is healthy unless told otherwise.

    Args:
        known: Facts by deployment id.
    """

    def __init__(self, known: Mapping[str, DeploymentFacts] | None = None) -> None:
        self.known = dict(known or {})
        self.seen: list[Observation] = []

    def facts(self, deployment_id: str) -> DeploymentFacts:
        """What the test says."""
        return self.known.get(deployment_id, UNKNOWN)

    def observe(self, observation: Observation) -> None:
        """Keep it for the test to look at."""
        self.seen.append(observation)

    async def may_try(self, deployment_id: str) -> bool:
        """Unless it is open."""
        return self.facts(deployment_id).breaker is not BreakerState.OPEN
