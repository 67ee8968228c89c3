from datetime import timedelta

import pytest

from llm_core.routing.breaker import BreakerRules
from llm_core.routing.facts import BreakerState, Observation
from llm_core.routing.standing import MOST_TRANSITIONS, UNCALLED, Standing, noted
from llm_core.routing.transitions import Cause, Transition
from tests.fakes.clock import NOON

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
RULES = BreakerRules(failures_in_a_row=3, min_calls=4, open_s=5)
GOOD = Observation("d", is_failure=False)
BAD = Observation("d", is_failure=True, error="timeout")
ASKS_FOR_TIME = Observation("d", is_failure=False, retry_after_s=20, error="rate_limited")


def after(*calls: tuple[float, Observation], of: Standing = UNCALLED) -> Standing:
    """The standing after calls that ended so many seconds past noon."""
    for second, observation in calls:
        of = noted(of, observation, NOON + timedelta(seconds=second), RULES)
    return of


OPENED = after((0, BAD), (1, BAD), (2, BAD))


def told(standing: Standing) -> list[tuple[BreakerState, BreakerState, Cause]]:
    return [(one.before, one.after, one.cause) for one in standing.transitions]


def test_failures_in_a_row_open_it_and_the_last_ones_class_is_kept() -> None:
    assert OPENED.transitions == (
        Transition(
            NOON + timedelta(seconds=2),
            CLOSED,
            OPEN,
            Cause.FAILURES_IN_A_ROW,
            "timeout",
            NOON + timedelta(seconds=7),
        ),
    )


@pytest.mark.parametrize(
    ("calls", "cause"),
    [
        (((0, GOOD), (0, BAD), (0, GOOD), (0, BAD)), Cause.FAILURE_SHARE),
        (((0, ASKS_FOR_TIME),), Cause.RETRY_AFTER),
    ],
)
def test_why_it_opened_is_told(calls: tuple[tuple[float, Observation], ...], cause: Cause) -> None:
    assert told(after(*calls)) == [(CLOSED, OPEN, cause)]


@pytest.mark.parametrize(
    ("trial", "into", "cause"),
    [
        (GOOD, CLOSED, Cause.TRIAL_SUCCEEDED),
        (BAD, OPEN, Cause.TRIAL_FAILED),
        (ASKS_FOR_TIME, OPEN, Cause.RETRY_AFTER),
    ],
)
def test_the_end_of_its_time_is_told_with_the_trial_and_dated_when_it_was(
    trial: Observation, into: BreakerState, cause: Cause
) -> None:
    half_open, tried = after((30, trial), of=OPENED).transitions[1:]
    assert half_open == Transition(NOON + timedelta(seconds=7), OPEN, HALF_OPEN, Cause.TIME_OVER)
    assert (tried.at, tried.before) == (NOON + timedelta(seconds=30), HALF_OPEN)
    assert (tried.after, tried.cause) == (into, cause)
    assert tried.error == (trial.error if into is OPEN else "")


def test_a_callers_fault_that_ends_a_trial_well_is_no_error_of_the_deployment() -> None:
    refused = Observation("d", is_failure=False, error="caller")
    assert after((30, refused), of=OPENED).transitions[-1].error == ""


@pytest.mark.parametrize("late", [GOOD, BAD, ASKS_FOR_TIME])
def test_calls_that_end_while_it_is_open_are_no_steps(late: Observation) -> None:
    assert after((3, late), of=OPENED).transitions == OPENED.transitions


def test_a_call_that_is_told_of_late_is_not_dated_before_the_step_it_follows() -> None:
    closed = after((30, GOOD), of=OPENED)
    reopened = after((10, BAD), (10, BAD), (10, BAD), of=closed)
    assert told(reopened)[-1] == (CLOSED, OPEN, Cause.FAILURES_IN_A_ROW)
    assert reopened.transitions[-1].at == NOON + timedelta(seconds=30, microseconds=1)


def test_only_the_last_steps_are_remembered_and_new_ones_are_told_apart() -> None:
    standing = OPENED
    for second in range(100, 2100, 400):
        standing = after((second, BAD), of=standing)
    assert len(standing.transitions) == 11
    more = after((3000, GOOD), of=standing)
    assert len(more.transitions) == MOST_TRANSITIONS
    assert [one.after for one in more.transitions_since(standing)] == [HALF_OPEN, CLOSED]
    assert more.transitions_since(more) == ()
