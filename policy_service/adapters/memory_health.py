"""The `Health` port in one process's memory."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from llm_core.routing.breaker import BreakerRules
from llm_core.routing.facts import BreakerState, DeploymentFacts, Observation
from llm_core.routing.standing import UNCALLED, Standing, facts_of, noted
from policy_service.ports.breakers import Told, told_to_nobody
from policy_service.ports.clock import Clock

TRIAL_S = 10.0


class MemoryHealth:
    """Goes by what this process has seen.

    Args:
        rules: When breakers open, and for how long.
        clock: Says what time it is.
        trial_s: How long a half-open deployment waits for the outcome of its one trial.
        tell: Is told of each step that a breaker takes here.
    """

    def __init__(
        self,
        rules: BreakerRules,
        clock: Clock,
        trial_s: float = TRIAL_S,
        tell: Told = told_to_nobody,
    ) -> None:
        self._rules = rules
        self._clock = clock
        self._trial = timedelta(seconds=trial_s)
        self._tell = tell
        self._standings: dict[str, Standing] = {}
        self._trials: dict[str, datetime] = {}

    def facts(self, deployment_id: str) -> DeploymentFacts:
        """See `Health.facts`."""
        return facts_of(self._standings.setdefault(deployment_id, UNCALLED), self._clock())

    def observe(self, observation: Observation) -> None:
        """See `Health.observe`."""
        deployment_id = observation.deployment_id
        before = self._standings.get(deployment_id, UNCALLED)
        after = noted(before, observation, self._clock(), self._rules)
        self.take_over(deployment_id, after)
        self._trials.pop(deployment_id, None)
        if made := after.transitions_since(before):
            self._tell(deployment_id, made)

    async def may_try(self, deployment_id: str) -> bool:
        """See `Health.may_try`."""
        state = self.facts(deployment_id).breaker
        if state is BreakerState.HALF_OPEN:
            return self.begin_trial(deployment_id)
        return state is BreakerState.CLOSED

    def begin_trial(self, deployment_id: str) -> bool:
        """Take the one trial of a half-open deployment; false while another is under way."""
        now = self._clock()
        under_way_until = self._trials.get(deployment_id)
        if under_way_until is not None and now < under_way_until:
            return False
        self._trials[deployment_id] = now + self._trial
        return True

    def put_off_trial(self, deployment_id: str, wait_s: float) -> None:
        """Let nobody in this process begin a trial for so long."""
        self._trials[deployment_id] = self._clock() + timedelta(seconds=wait_s)

    def take_over(self, deployment_id: str, standing: Standing) -> None:
        """Go by `standing` from now on."""
        self._standings[deployment_id] = standing

    @property
    def deployment_ids(self) -> Sequence[str]:
        """Every deployment that anybody asked or told about."""
        return tuple(self._standings)
