from datetime import timedelta

import pytest

from llm_core.routing.breaker import BreakerRules
from llm_core.routing.facts import UNKNOWN, BreakerState, Observation
from llm_core.routing.standing import (
    STALE_AFTER,
    UNCALLED,
    Standing,
    facts_of,
    noted,
)
from tests.fakes.clock import NOON

RULES = BreakerRules(failures_in_a_row=1)


def after(*observations: Observation) -> Standing:
    standing = UNCALLED
    for observation in observations:
        standing = noted(standing, observation, NOON, RULES)
    return standing


def good(first_ms: float | None = None, pace: float | None = None) -> Observation:
    return Observation("d", False, time_to_first_token_ms=first_ms, tokens_per_s=pace)


def test_nobody_called_is_unknown_and_healthy() -> None:
    assert facts_of(UNCALLED, NOON) == UNKNOWN
    assert UNKNOWN.is_healthy


def test_the_first_measurement_is_the_average_and_later_ones_move_it() -> None:
    facts = facts_of(after(good(100, 50)), NOON)
    assert (facts.time_to_first_token_ms, facts.tokens_per_s, facts.samples) == (100, 50, 1)
    facts = facts_of(after(good(100, 50), good(200, 100)), NOON)
    assert facts.time_to_first_token_ms == pytest.approx(120)
    assert facts.tokens_per_s == pytest.approx(60)
    assert facts.samples == 2


def test_one_figure_may_be_measured_without_the_other() -> None:
    facts = facts_of(after(good(100), good(None, 40)), NOON)
    assert (facts.time_to_first_token_ms, facts.tokens_per_s, facts.samples) == (100, 40, 2)


@pytest.mark.parametrize("nonsense", [0, -1, float("nan"), float("inf")])
def test_a_figure_that_makes_no_sense_is_left_out(nonsense: float) -> None:
    assert facts_of(after(good(nonsense, nonsense)), NOON) == UNKNOWN


def test_averages_follow_a_deployment_that_becomes_slower() -> None:
    standing = after(*[good(100)] * 20, *[good(1000)] * 12)
    first_ms = facts_of(standing, NOON).time_to_first_token_ms
    assert first_ms
    assert first_ms > 900


def test_a_failure_measures_nothing_however_fast_it_came() -> None:
    standing = after(good(100), Observation("d", True, time_to_first_token_ms=1))
    facts = facts_of(standing, NOON)
    assert (facts.time_to_first_token_ms, facts.samples) == (100, 1)
    assert facts.breaker is BreakerState.OPEN


def test_stale_averages_are_not_told_and_not_built_upon() -> None:
    standing, later = after(good(100, 50)), NOON + STALE_AFTER + timedelta(seconds=1)
    assert facts_of(standing, NOON + STALE_AFTER).samples == 1
    assert facts_of(standing, later) == UNKNOWN
    facts = facts_of(noted(standing, good(900), later, RULES), later)
    assert (facts.time_to_first_token_ms, facts.tokens_per_s, facts.samples) == (900, None, 1)


def test_when_it_opens_up_is_told_only_while_it_is_open() -> None:
    standing = after(Observation("d", True))
    now = NOON + timedelta(seconds=RULES.open_s)
    assert facts_of(standing, NOON).opens_until == now
    half_open = facts_of(standing, now)
    assert (half_open.breaker, half_open.opens_until) == (BreakerState.HALF_OPEN, None)
