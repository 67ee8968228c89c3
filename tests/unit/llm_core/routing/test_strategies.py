from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from llm_core.catalogue import Deployment, Model, ProviderKind, Strategy
from llm_core.operation import Operation
from llm_core.policy.call import Call
from llm_core.policy.decision import Obligations, PricedDeployment
from llm_core.pricing.charge import ModelPrice, Rates
from llm_core.routing.facts import BreakerState, DeploymentFacts
from llm_core.routing.strategies import in_order, with_trial
from tests.fakes.clock import NOON

CALL = Call(Operation.CHAT_COMPLETIONS, prompt_tokens=1000, max_output_tokens=1000)
HALF_OPEN = DeploymentFacts(BreakerState.HALF_OPEN)


def deployment(name: str, **fields: Any) -> Deployment:
    return Deployment(name, ProviderKind.OPENAI, name, f"https://{name}.test", **fields)


def priced(
    name: str, usd_in: float | str = 1, usd_out: float | str = 1, **fields: Any
) -> PricedDeployment:
    price = ModelPrice("v1", Rates(Decimal(usd_in), Decimal(usd_out)))
    return PricedDeployment(deployment(name, **fields), price)


A, B, C = priced("a"), priced("b"), priced("c")


def open_for(seconds: float) -> DeploymentFacts:
    return DeploymentFacts(BreakerState.OPEN, opens_until=NOON + timedelta(seconds=seconds))


def measured(first_ms: float, pace: float | None = None) -> DeploymentFacts:
    return DeploymentFacts(time_to_first_token_ms=first_ms, tokens_per_s=pace, samples=9)


def drawing(*numbers: float) -> Callable[[], float]:
    left = iter(numbers)
    return lambda: next(left)


def never() -> float:
    raise AssertionError("nothing is left to chance here")


def order(
    *choices: PricedDeployment,
    strategy: Strategy = Strategy.PRIORITY,
    call: Call = CALL,
    obligations: Obligations | None = None,
    facts: Mapping[str, DeploymentFacts] | None = None,
    draw: Callable[[], float] = never,
    is_sticky: bool = False,
) -> list[str]:
    deployments = tuple(one.deployment for one in choices)
    model = Model("m", deployments, strategy, is_sticky)
    made = in_order(
        model, call, choices, obligations or Obligations(), facts=facts or {}, draw=draw
    )
    return [one.deployment.id for one in made]


# --- health


def test_priority_is_the_catalogues_order() -> None:
    assert order(C, A, B) == ["c", "a", "b"]


def test_healthy_ones_come_first_then_half_open_then_those_open_soonest_tried_again() -> None:
    choices = [priced(name) for name in "abcdef"]
    facts = {"a": open_for(30), "b": HALF_OPEN, "c": open_for(5), "e": HALF_OPEN}
    assert order(*choices, facts=facts) == ["d", "f", "b", "e", "c", "a"]


def test_a_share_of_the_calls_tries_a_half_open_one_first() -> None:
    facts = {"b": HALF_OPEN, "c": open_for(5)}
    tried = with_trial((A, B, C), facts, drawing(0.19))
    assert [one.deployment.id for one in tried] == ["b", "a", "c"]
    assert with_trial((A, B, C), facts, drawing(0.2)) == (A, B, C)


def test_without_a_half_open_one_there_is_no_trial() -> None:
    assert with_trial((A, B), {"b": open_for(5)}, never) == (A, B)


# --- cheapest


def test_the_cheapest_for_this_call_comes_first() -> None:
    dear_in, dear_out = priced("dear-in", 10, 1), priced("dear-out", 1, 10)
    short = replace(CALL, max_output_tokens=10)
    long = replace(CALL, prompt_tokens=10)
    cheapest = Strategy.CHEAPEST
    assert order(dear_in, dear_out, strategy=cheapest, call=short) == ["dear-out", "dear-in"]
    assert order(dear_out, dear_in, strategy=cheapest, call=long) == ["dear-in", "dear-out"]


def test_at_the_same_price_the_catalogues_order_stands() -> None:
    assert order(C, A, B, strategy=Strategy.CHEAPEST) == ["c", "a", "b"]


def test_a_deployment_does_not_look_cheap_because_its_answers_are_short() -> None:
    short_and_dear = priced("short", 1, 3, max_output_tokens=10)
    long_and_cheap = priced("long", 1, 2, max_output_tokens=16_000)
    call = replace(CALL, max_output_tokens=None)
    made = order(short_and_dear, long_and_cheap, strategy=Strategy.CHEAPEST, call=call)
    assert made == ["long", "short"]


def test_the_margin_for_a_vendors_tokeniser_counts() -> None:
    claude = PricedDeployment(replace(A.deployment, provider=ProviderKind.ANTHROPIC), A.price)
    assert order(claude, B, strategy=Strategy.CHEAPEST) == ["b", "a"]


def test_the_cheapest_comes_after_a_dearer_one_while_it_is_not_healthy() -> None:
    cheap, dear = priced("cheap", 1, 1), priced("dear", 9, 9)
    assert order(cheap, dear, strategy=Strategy.CHEAPEST, facts={"cheap": HALF_OPEN}) == [
        "dear",
        "cheap",
    ]


# --- fastest

FASTEST = Strategy.FASTEST
KEEP, EXPLORE = 0.1, 0.09


def test_the_fastest_comes_first_and_the_unmeasured_last() -> None:
    facts = {"b": measured(300), "c": measured(100)}
    assert order(A, B, C, strategy=FASTEST, facts=facts, draw=drawing(KEEP)) == ["c", "b", "a"]


def test_a_long_answers_pace_outweighs_a_slow_start_and_a_short_ones_does_not() -> None:
    facts = {"a": measured(100, 20), "b": measured(900, 200)}
    long, short = CALL, replace(CALL, max_output_tokens=5)
    assert order(A, B, strategy=FASTEST, facts=facts, call=long, draw=drawing(KEEP))[0] == "b"
    assert order(A, B, strategy=FASTEST, facts=facts, call=short, draw=drawing(KEEP))[0] == "a"


def test_who_never_streamed_is_taken_to_have_the_others_pace() -> None:
    facts = {"a": measured(100), "b": measured(90, 50), "c": measured(150, 50)}
    assert order(A, B, C, strategy=FASTEST, facts=facts, draw=drawing(KEEP)) == ["b", "a", "c"]


def test_a_share_of_the_calls_measures_one_that_is_not_measured() -> None:
    facts = {"a": measured(100), "b": measured(200)}
    d = priced("d")
    explored = {
        order(A, B, C, d, strategy=FASTEST, facts=facts, draw=drawing(EXPLORE, which))[0]
        for which in (0.0, 0.49, 0.5, 0.99)
    }
    assert explored == {"c", "d"}


def test_when_all_are_measured_the_slower_ones_are_measured_again() -> None:
    facts = {"a": measured(100), "b": measured(200), "c": measured(300)}
    explored = [
        order(A, B, C, strategy=FASTEST, facts=facts, draw=drawing(EXPLORE, which))
        for which in (0.0, 0.99)
    ]
    assert explored == [["b", "a", "c"], ["c", "a", "b"]]


def test_only_healthy_ones_are_explored() -> None:
    facts = {"a": measured(100), "b": open_for(5), "c": HALF_OPEN}
    made = order(A, B, C, strategy=FASTEST, facts=facts, draw=drawing(EXPLORE))
    assert made == ["a", "c", "b"]


# --- weighted


def test_the_weights_say_how_often_each_comes_first() -> None:
    heavy, light = priced("heavy", weight=9), priced("light", weight=1)
    # Of two exponential numbers the heavier one's is nine times as small for the same draw.
    weighted = Strategy.WEIGHTED
    assert order(light, heavy, strategy=weighted, draw=drawing(0.5, 0.5)) == ["heavy", "light"]
    assert order(light, heavy, strategy=weighted, draw=drawing(0.01, 0.5)) == ["light", "heavy"]


def test_one_without_weight_is_there_only_for_when_the_others_fail() -> None:
    idle = priced("idle", weight=0)
    for numbers in ((0.0, 0.999), (0.999, 0.0)):
        made = order(idle, A, strategy=Strategy.WEIGHTED, draw=drawing(*numbers))
        assert made == ["a", "idle"]


# --- sticky

STICKY = replace(CALL, affinity="3f2a")


def test_the_same_key_goes_to_the_same_deployment_whatever_the_strategy_and_order() -> None:
    made = {
        tuple(order(*choices, strategy=strategy, call=STICKY, is_sticky=True))
        for choices in ((A, B, C), (C, B, A))
        for strategy in Strategy
    }
    assert len(made) == 1


def test_different_keys_are_spread() -> None:
    firsts = {
        order(A, B, C, call=replace(CALL, affinity=str(key)), is_sticky=True)[0]
        for key in range(50)
    }
    assert firsts == {"a", "b", "c"}


def test_a_key_goes_elsewhere_while_its_deployment_is_not_healthy_and_comes_back() -> None:
    first, second, third = order(A, B, C, call=STICKY, is_sticky=True)
    away = order(A, B, C, call=STICKY, is_sticky=True, facts={first: open_for(5)})
    assert away == [second, third, first]


@pytest.mark.parametrize(("call", "is_sticky"), [(CALL, True), (STICKY, False)])
def test_without_a_key_or_stickiness_the_strategy_decides(call: Call, is_sticky: bool) -> None:
    assert order(C, A, B, call=call, is_sticky=is_sticky) == ["c", "a", "b"]
