"""What must hold of routing for any deployments, facts, draws and sequences of calls."""

import random
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from llm_core.catalogue import Deployment, Model, ProviderKind, Strategy
from llm_core.operation import Operation
from llm_core.policy.call import Call
from llm_core.policy.decision import Obligations, PricedDeployment
from llm_core.pricing.charge import ModelPrice, Rates
from llm_core.routing.breaker import CLOSED, Breaker, BreakerRules, after_call, state_of
from llm_core.routing.facts import BreakerState, DeploymentFacts
from llm_core.routing.strategies import by_affinity, by_weight, in_order, with_trial
from tests.fakes.clock import NOON

CALL = Call(Operation.CHAT_COMPLETIONS, prompt_tokens=100)
NOTHING = Obligations()
PLACES = [BreakerState.CLOSED, BreakerState.HALF_OPEN, BreakerState.OPEN]
seconds = st.floats(0, 600)
figures = st.none() | st.floats(0.1, 1e6)
facts_of_one = st.builds(
    DeploymentFacts,
    breaker=st.sampled_from(BreakerState),
    opens_until=st.none() | seconds.map(lambda s: NOON + timedelta(seconds=s)),
    time_to_first_token_ms=figures,
    tokens_per_s=figures,
)


def priced(index: int, weight: int, usd: int) -> PricedDeployment:
    deployment = Deployment(f"d{index}", ProviderKind.OPENAI, "m", "https://d.test", weight=weight)
    return PricedDeployment(deployment, ModelPrice("v", Rates(Decimal(usd), Decimal(usd))))


choices_of = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 9)), min_size=1, max_size=8).map(
    lambda pairs: tuple(priced(i, weight, usd) for i, (weight, usd) in enumerate(pairs))
)


@given(data=st.data(), choices=choices_of, strategy=st.sampled_from(Strategy), seed=st.integers())
def test_an_order_holds_what_it_is_given_and_healthy_ones_come_first(
    data: st.DataObject, choices: tuple[PricedDeployment, ...], strategy: Strategy, seed: int
) -> None:
    facts = {
        one.deployment.id: data.draw(facts_of_one) for one in choices if data.draw(st.booleans())
    }
    call = replace(CALL, affinity=data.draw(st.none() | st.text(max_size=5)))
    model = Model("m", tuple(one.deployment for one in choices), strategy, data.draw(st.booleans()))
    draw = random.Random(seed).random
    order = in_order(model, call, choices, NOTHING, facts=facts, draw=draw)
    assert Counter(one.deployment.id for one in order) == Counter(
        one.deployment.id for one in choices
    )
    known = [facts.get(one.deployment.id, DeploymentFacts()) for one in order]
    places = [PLACES.index(one.breaker) for one in known]
    assert places == sorted(places)
    untils = [one.opens_until for one in known if one.breaker is BreakerState.OPEN]
    told = [until for until in untils if until is not None]
    assert told == sorted(told)
    tried = with_trial(order, facts, draw)
    assert sorted(map(id, tried)) == sorted(map(id, order))
    assert tried == order or facts[tried[0].deployment.id].breaker is BreakerState.HALF_OPEN


@given(weights=st.lists(st.integers(1, 9), min_size=1, max_size=5), seed=st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_the_shares_come_to_be_those_of_the_weights(weights: list[int], seed: int) -> None:
    choices = [priced(i, weight, 1) for i, weight in enumerate(weights)]
    draw, rounds = random.Random(seed).random, 4000
    firsts = Counter(
        by_weight(choices, CALL, NOTHING, {}, draw)[0].deployment.id for _ in range(rounds)
    )
    for one in choices:
        share = one.deployment.weight / sum(weights)
        # Over five standard deviations of a share of 4000 draws.
        assert abs(firsts[one.deployment.id] / rounds - share) < 0.045


def test_sticky_keys_are_shared_by_weight() -> None:
    choices = [priced(0, 1, 1), priced(1, 3, 1)]
    firsts = Counter(by_affinity(choices, str(key))[0].deployment.id for key in range(4000))
    assert 0.70 < firsts["d1"] / 4000 < 0.80


@given(choices=choices_of, keys=st.lists(st.text(max_size=8), max_size=20), data=st.data())
def test_when_a_deployment_goes_only_its_keys_move_and_to_their_second(
    choices: tuple[PricedDeployment, ...], keys: list[str], data: st.DataObject
) -> None:
    gone = data.draw(st.sampled_from(choices))
    left = [one for one in choices if one is not gone]
    for key in keys:
        assert by_affinity(left, key) == [one for one in by_affinity(choices, key) if one != gone]


# --- the breaker

RULES = BreakerRules(
    failures_in_a_row=3,
    failure_share=0.6,
    min_calls=5,
    window_s=20,
    open_s=2,
    max_open_s=30,
    max_retry_after_s=45,
)
calls = st.lists(
    st.tuples(
        st.floats(0, 40),
        st.booleans(),
        st.none() | st.floats(allow_nan=True, allow_infinity=True),
    ),
    max_size=80,
)


@given(calls=calls)
def test_whatever_happens_a_breaker_keeps_its_promises(
    calls: list[tuple[float, bool, float | None]],
) -> None:
    breaker, now = CLOSED, NOON
    for pause_s, is_failure, retry_after_s in calls:
        now += timedelta(seconds=pause_s)
        before, old = state_of(breaker, now), breaker
        breaker = after_call(
            breaker, now, RULES, is_failure=is_failure, retry_after_s=retry_after_s
        )
        after = state_of(breaker, now)
        asked = retry_after_s is not None and retry_after_s > 0
        # Only success closes, and only a trial's; only a failure or a wish opens.
        if before is BreakerState.OPEN:
            assert after is BreakerState.OPEN
        if before is BreakerState.HALF_OPEN and not asked:
            assert after is (BreakerState.OPEN if is_failure else BreakerState.CLOSED)
        if before is BreakerState.CLOSED and after is not BreakerState.CLOSED:
            assert is_failure or asked
        if before is BreakerState.CLOSED and asked and retry_after_s and retry_after_s > 1e-3:
            assert after is BreakerState.OPEN
        # It is never open for longer than the longest that it may be.
        if breaker.opens_until is not None:
            longest = max(RULES.max_open_s, RULES.max_retry_after_s)
            assert breaker.opens_until - now <= timedelta(seconds=longest)
        if old.opens_until is not None and before is BreakerState.OPEN and breaker.opens_until:
            assert breaker.opens_until >= old.opens_until
        # What is remembered does not grow, and three in a row are never just looked at.
        assert len(breaker.window) <= 6
        assert breaker.failures_in_a_row < RULES.failures_in_a_row
    assert_it_recovers(breaker, now)


def assert_it_recovers(breaker: Breaker, now: datetime) -> None:
    """However bad it was: after the longest time one good call closes it."""
    later = now + timedelta(seconds=100)
    assert state_of(breaker, later) is not BreakerState.OPEN
    good = after_call(breaker, later, RULES, is_failure=False)
    assert state_of(good, later) is BreakerState.CLOSED


@given(calls=calls)
def test_calls_told_out_of_their_order_do_no_harm(
    calls: list[tuple[float, bool, float | None]],
) -> None:
    """Processes tell of their calls a moment late, so a later one may come first."""
    breaker = CLOSED
    for seconds_ago, is_failure, retry_after_s in calls:
        at = NOON - timedelta(seconds=seconds_ago)
        breaker = after_call(breaker, at, RULES, is_failure=is_failure, retry_after_s=retry_after_s)
        numbers = [bucket.number for bucket in breaker.window]
        assert numbers == sorted(set(numbers))
        assert len(numbers) <= 6
    assert_it_recovers(breaker, NOON)
