"""What happened to a breaker, step by step: from which state into which, when and why.

```
closed ──▶ open ──▶ half_open ──▶ closed
             ▲          │
             └──────────┘
```

Time alone makes an open breaker half-open, and nobody is there to see it. So that step is told
with the call that comes next, and dated when the time was over.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from llm_core.routing.breaker import Breaker, BreakerRules, state_of
from llm_core.routing.facts import BreakerState, Observation

_TICK = timedelta(microseconds=1)
"""What databases tell times apart by."""


class Cause(StrEnum):
    """Why a breaker went into another state."""

    FAILURES_IN_A_ROW = "failures_in_a_row"
    FAILURE_SHARE = "failure_share"
    RETRY_AFTER = "retry_after"
    """The provider asked to be left alone."""
    TIME_OVER = "time_over"
    """It was open for long enough."""
    TRIAL_FAILED = "trial_failed"
    TRIAL_SUCCEEDED = "trial_succeeded"


@dataclass(frozen=True, slots=True)
class Transition:
    """One step of a breaker.

    Args:
        at: When; later than the deployment's step before, by a microsecond at least.
        before: The state that it left.
        after: The state that it came into.
        cause: Why.
        error: The class of the last call's failure; empty where no failure led to it.
        opens_until: Into open: when it was to become half-open; a provider may put that off.
    """

    at: datetime
    before: BreakerState
    after: BreakerState
    cause: Cause
    error: str = ""
    opens_until: datetime | None = None


def transitions_of(
    before: Breaker,
    after: Breaker,
    observation: Observation,
    at: datetime,
    rules: BreakerRules,
    *,
    last: datetime | None = None,
) -> tuple[Transition, ...]:
    """The steps between a breaker and what one call made of it: none, one or two.

    Args:
        before: As it stood.
        after: `after_call` of it.
        observation: How the call went.
        at: When it ended.
        rules: When breakers open.
        last: When the deployment's breaker took its last step; processes tell of their calls a
            little late, and no step is dated before the one that it follows.
    """
    steps: list[Transition] = []
    state = state_of(before, at)
    if state is BreakerState.HALF_OPEN and before.opens_until is not None:
        over = _later(before.opens_until, last)
        steps.append(Transition(over, BreakerState.OPEN, state, Cause.TIME_OVER))
        last = over
    into = BreakerState.CLOSED if after.opens_until is None else BreakerState.OPEN
    if into is not state:
        steps.append(
            Transition(
                at=_later(at, last),
                before=state,
                after=into,
                cause=_cause(before, after, observation, state, rules),
                error=observation.error if into is BreakerState.OPEN else "",
                opens_until=after.opens_until,
            )
        )
    return tuple(steps)


def _later(at: datetime, last: datetime | None) -> datetime:
    return at if last is None else max(at, last + _TICK)


def _cause(
    before: Breaker,
    after: Breaker,
    observation: Observation,
    state: BreakerState,
    rules: BreakerRules,
) -> Cause:
    if after.opens_until is None:
        return Cause.TRIAL_SUCCEEDED
    if after.times_opened == before.times_opened:
        return Cause.RETRY_AFTER
    if state is BreakerState.HALF_OPEN:
        return Cause.TRIAL_FAILED
    is_row = before.failures_in_a_row + 1 >= rules.failures_in_a_row
    return Cause.FAILURES_IN_A_ROW if is_row else Cause.FAILURE_SHARE
