from datetime import datetime, timedelta

import pytest

from llm_core.routing.breaker import CLOSED, Breaker, BreakerRules, after_call, state_of
from llm_core.routing.facts import BreakerState
from tests.fakes.clock import NOON

RULES = BreakerRules(
    failures_in_a_row=3,
    failure_share=0.5,
    min_calls=10,
    window_s=60,
    open_s=5,
    max_open_s=18,
    max_retry_after_s=30,
)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def failed(breaker: Breaker, seconds: float, retry_after_s: float | None = None) -> Breaker:
    return after_call(breaker, at(seconds), RULES, is_failure=True, retry_after_s=retry_after_s)


def went_well(breaker: Breaker, seconds: float) -> Breaker:
    return after_call(breaker, at(seconds), RULES, is_failure=False)


def opened() -> Breaker:
    """At noon, for five seconds."""
    breaker = CLOSED
    for _ in range(3):
        breaker = failed(breaker, 0)
    return breaker


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    twice = failed(failed(CLOSED, 0), 1)
    assert state_of(twice, at(1)) is BreakerState.CLOSED
    assert state_of(failed(twice, 2), at(2)) is BreakerState.OPEN


def test_a_success_between_starts_the_row_anew() -> None:
    breaker = went_well(failed(failed(CLOSED, 0), 1), 2)
    breaker = failed(failed(breaker, 3), 4)
    assert state_of(breaker, at(4)) is BreakerState.CLOSED


def test_it_opens_at_a_share_of_failures_once_there_are_enough_calls() -> None:
    breaker = CLOSED
    for second in range(8):
        breaker = failed(breaker, second) if second % 2 else went_well(breaker, second)
    assert state_of(breaker, at(8)) is BreakerState.CLOSED
    breaker = failed(went_well(breaker, 8), 9)
    assert state_of(breaker, at(9)) is BreakerState.OPEN


def test_calls_that_left_the_window_do_not_count_for_the_share() -> None:
    breaker = CLOSED
    for second in range(8):
        breaker = failed(breaker, second) if second % 2 else went_well(breaker, second)
    breaker = failed(went_well(breaker, 90), 91)
    assert state_of(breaker, at(91)) is BreakerState.CLOSED
    assert len(breaker.window) == 1


def test_time_alone_makes_it_half_open() -> None:
    breaker = opened()
    assert state_of(breaker, at(4.999)) is BreakerState.OPEN
    assert state_of(breaker, at(5)) is BreakerState.HALF_OPEN
    assert state_of(breaker, at(500)) is BreakerState.HALF_OPEN


def test_one_success_while_half_open_closes_it_and_forgets_everything() -> None:
    assert went_well(opened(), 6) == CLOSED


def test_each_failed_trial_opens_it_for_twice_as_long_up_to_the_cap() -> None:
    breaker, now, waits = opened(), 0.0, []
    for _ in range(4):
        now += 20
        breaker = failed(breaker, now)
        assert breaker.opens_until
        waits.append((breaker.opens_until - at(now)).total_seconds())
    assert waits == [10, 18, 18, 18]


def test_very_many_failed_trials_do_not_overflow() -> None:
    breaker = Breaker(times_opened=10_000, opens_until=NOON)
    assert failed(breaker, 1).opens_until == at(19)


def test_after_a_success_the_next_opening_is_as_short_as_the_first() -> None:
    breaker = went_well(failed(opened(), 10), 30)
    for _ in range(3):
        breaker = failed(breaker, 31)
    assert breaker.opens_until == at(36)


def test_calls_that_end_while_it_is_open_change_nothing() -> None:
    breaker = opened()
    assert failed(breaker, 3) == breaker
    assert went_well(breaker, 3) == breaker


@pytest.mark.parametrize("is_failure", [True, False])
def test_a_providers_retry_after_opens_it_at_once(is_failure: bool) -> None:
    breaker = after_call(CLOSED, NOON, RULES, is_failure=is_failure, retry_after_s=20)
    assert state_of(breaker, at(19)) is BreakerState.OPEN
    assert state_of(breaker, at(20)) is BreakerState.HALF_OPEN


def test_retry_after_is_heeded_up_to_a_cap() -> None:
    assert failed(CLOSED, 0, retry_after_s=86_400).opens_until == at(30)


@pytest.mark.parametrize("nonsense", [0, -5, float("nan")])
def test_a_retry_after_that_makes_no_sense_is_none(nonsense: float) -> None:
    assert failed(CLOSED, 0, retry_after_s=nonsense) == failed(CLOSED, 0)


def test_a_retry_after_lengthens_an_open_breakers_time_and_never_shortens_it() -> None:
    assert failed(opened(), 1, retry_after_s=20).opens_until == at(21)
    assert failed(opened(), 1, retry_after_s=1).opens_until == at(5)


def test_a_trial_that_is_told_to_wait_waits_without_a_failure_being_counted() -> None:
    breaker = after_call(opened(), at(6), RULES, is_failure=False, retry_after_s=10)
    assert (breaker.opens_until, breaker.times_opened) == (at(16), 1)


def test_a_failed_trial_waits_for_the_longer_of_its_own_time_and_what_is_asked() -> None:
    assert failed(opened(), 6, retry_after_s=25).opens_until == at(31)
    assert failed(opened(), 6, retry_after_s=2).opens_until == at(16)
