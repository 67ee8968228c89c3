"""All that is remembered of one deployment: its breaker, its last steps, and how fast it was."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from llm_core.routing.breaker import CLOSED, Breaker, BreakerRules, after_call, state_of
from llm_core.routing.facts import BreakerState, DeploymentFacts, Observation
from llm_core.routing.transitions import Transition, transitions_of

NEW_SHARE = 0.2
"""How much of a moving average the newest call makes up: after ten calls, nine tenths are new."""

STALE_AFTER = timedelta(minutes=5)
"""Averages older than this say nothing of now, and count as not measured."""

MOST_TRANSITIONS = 12
"""So many of a breaker's last steps are remembered, until somebody has written them down."""


@dataclass(frozen=True, slots=True)
class Averages:
    """Exponentially weighted moving averages.

    Args:
        time_to_first_token_ms: `None` until measured.
        tokens_per_s: `None` until measured.
        samples: Calls behind them.
        measured_at: The newest of these.
    """

    time_to_first_token_ms: float | None = None
    tokens_per_s: float | None = None
    samples: int = 0
    measured_at: datetime | None = None


NOT_MEASURED = Averages()


@dataclass(frozen=True, slots=True)
class Standing:
    """What processes tell one another about a deployment.

    Args:
        transitions: The breaker's last steps, the newest last.
    """

    breaker: Breaker = CLOSED
    averages: Averages = NOT_MEASURED
    transitions: tuple[Transition, ...] = ()

    def transitions_since(self, before: "Standing") -> tuple[Transition, ...]:
        """The steps that an earlier standing of the same deployment did not have yet."""
        if self.transitions == before.transitions:
            return ()
        return tuple(one for one in self.transitions if one not in before.transitions)


UNCALLED = Standing()
"""A deployment that nobody has called yet."""


def noted(
    standing: Standing, observation: Observation, at: datetime, rules: BreakerRules
) -> Standing:
    """The standing after a call that ended at `at`."""
    breaker = after_call(
        standing.breaker,
        at,
        rules,
        is_failure=observation.is_failure,
        retry_after_s=observation.retry_after_s,
    )
    known = standing.transitions
    last = known[-1].at if known else None
    made = transitions_of(standing.breaker, breaker, observation, at, rules, last=last)
    if made:
        known = (*known, *made)[-MOST_TRANSITIONS:]
    # How fast a failure came says nothing about answers.
    averages = standing.averages
    if not observation.is_failure:
        averages = measured(averages, observation, at)
    return Standing(breaker, averages, known)


def measured(averages: Averages, observation: Observation, at: datetime) -> Averages:
    """The averages with one more call in them; without change when it measured nothing."""
    first_ms = _sensible(observation.time_to_first_token_ms)
    pace = _sensible(observation.tokens_per_s)
    if first_ms is None and pace is None:
        return averages
    old = NOT_MEASURED if _is_stale(averages, at) else averages
    return Averages(
        time_to_first_token_ms=_moved(old.time_to_first_token_ms, first_ms),
        tokens_per_s=_moved(old.tokens_per_s, pace),
        samples=old.samples + 1,
        measured_at=max(at, old.measured_at or at),
    )


def facts_of(standing: Standing, now: datetime) -> DeploymentFacts:
    """What routing is told; stale averages are left out."""
    state = state_of(standing.breaker, now)
    averages = NOT_MEASURED if _is_stale(standing.averages, now) else standing.averages
    return DeploymentFacts(
        breaker=state,
        opens_until=standing.breaker.opens_until if state is BreakerState.OPEN else None,
        time_to_first_token_ms=averages.time_to_first_token_ms,
        tokens_per_s=averages.tokens_per_s,
        samples=averages.samples,
    )


def _is_stale(averages: Averages, now: datetime) -> bool:
    return averages.measured_at is not None and now - averages.measured_at > STALE_AFTER


def _sensible(figure: float | None) -> float | None:
    return figure if figure is not None and math.isfinite(figure) and figure > 0 else None


def _moved(average: float | None, newest: float | None) -> float | None:
    if newest is None or average is None:
        return average if newest is None else newest
    return average + NEW_SHARE * (newest - average)
