"""Whatever calls do, and in whatever order they are told of, a breaker's steps are a chain."""

from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from llm_core.routing.breaker import BreakerRules, state_of
from llm_core.routing.facts import BreakerState, Observation
from llm_core.routing.standing import UNCALLED, noted
from llm_core.routing.transitions import Transition
from policy_service.ports.breakers import transition_id
from tests.fakes.clock import NOON

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
LEGAL = {(CLOSED, OPEN), (OPEN, HALF_OPEN), (HALF_OPEN, CLOSED), (HALF_OPEN, OPEN)}
RULES = BreakerRules(failures_in_a_row=2, min_calls=3, open_s=5, max_open_s=20)
OBSERVATIONS = st.builds(
    Observation,
    st.just("d"),
    is_failure=st.booleans(),
    retry_after_s=st.none() | st.floats(0, 100),
    error=st.sampled_from(["", "timeout"]),
)
# Seconds since the call before; processes tell of theirs a little late, so some go back.
CALLS = st.lists(st.tuples(st.floats(-10, 30), OBSERVATIONS), max_size=60)


@given(calls=CALLS)
def test_steps_are_a_legal_chain_in_time_and_end_where_the_breaker_stands(
    calls: list[tuple[float, Observation]],
) -> None:
    standing, now = UNCALLED, NOON
    steps: list[Transition] = []
    for seconds, observation in calls:
        now += timedelta(seconds=seconds)
        before, standing = standing, noted(standing, observation, now, RULES)
        steps.extend(standing.transitions_since(before))
        last = steps[-1].after if steps else CLOSED
        is_closed = state_of(standing.breaker, now) is CLOSED
        assert last is (CLOSED if is_closed else OPEN)
    assert [one.before for one in steps[:1]] in ([], [CLOSED])
    assert all((one.before, one.after) in LEGAL for one in steps)
    for one, following in pairwise(steps):
        assert one.after is following.before
        assert one.at < following.at
    ids = [transition_id("d", one) for one in steps]
    assert len(set(ids)) == len(ids)
    assert [one[:14] for one in ids] == sorted(one[:14] for one in ids)
