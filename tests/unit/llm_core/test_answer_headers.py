from decimal import Decimal

import pytest

from llm_core.answer_headers import (
    cost_header,
    deployment_headers,
    dropped_params_header,
    limit_headers,
    plain,
)
from llm_core.policy.decision import PricedDeployment
from llm_core.policy.limits import Limit, LimitState, Measure
from llm_core.tokens.usage import TokenUsage
from tests.fakes.samples import AZURE, OPENAI, PRICE

REQUESTS = Measure.REQUESTS_PER_MINUTE
TOKENS = Measure.TOKENS_PER_MINUTE
MONEY = Measure.USD_PER_MONTH


def state(
    measure: Measure, amount: str, used: str, reset_s: float = 12.5, node: str = "team:search"
) -> LimitState:
    return LimitState(Limit(node, measure, Decimal(amount)), Decimal(used), reset_s)


def test_openais_headers_for_requests_and_tokens() -> None:
    states = [state(REQUESTS, "60", "1"), state(TOKENS, "1000", "110", reset_s=0.25)]
    assert limit_headers(states) == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "12.500s",
        "x-ratelimit-limit-tokens": "1000",
        "x-ratelimit-remaining-tokens": "890",
        "x-ratelimit-reset-tokens": "0.250s",
    }


def test_the_tightest_limit_of_a_measure_is_shown() -> None:
    """By what is left, not by its size: a large one that is used up binds first."""
    states = [state(REQUESTS, "10", "1"), state(REQUESTS, "100", "99"), state(REQUESTS, "50", "0")]
    assert limit_headers(states)["x-ratelimit-limit-requests"] == "100"


def test_money_is_the_least_that_is_left_anywhere() -> None:
    states = [state(MONEY, "100", "1"), state(MONEY, "50", "49.999999999999")]
    assert limit_headers(states) == {"x-gatehouse-budget-remaining-usd": "0.000000000001"}


def test_tokens_are_the_tightest_of_all_limits_of_tokens_a_minute() -> None:
    states = [
        state(TOKENS, "1000", "100"),
        state(Measure.INPUT_TOKENS_PER_MINUTE, "500", "200"),
        state(Measure.OUTPUT_TOKENS_PER_MINUTE, "400", "350", reset_s=7),
    ]
    assert limit_headers(states) == {
        "x-ratelimit-limit-tokens": "400",
        "x-ratelimit-remaining-tokens": "50",
        "x-ratelimit-reset-tokens": "7.000s",
    }


def test_money_is_money_over_whatever_time() -> None:
    measures = [measure for measure in Measure if measure.is_money]
    for tightest in measures:
        states = [state(one, "10", "9" if one is tightest else "1") for one in measures]
        assert limit_headers(states) == {"x-gatehouse-budget-remaining-usd": "1"}


@pytest.mark.parametrize(
    "measure",
    [Measure.CONCURRENT_REQUESTS, Measure.TOKENS_PER_DAY, Measure.TOKENS_PER_24_HOURS],
)
def test_what_openai_has_no_header_for_has_none(measure: Measure) -> None:
    assert limit_headers([state(measure, "10", "1")]) == {}


def test_an_overdrawn_limit_has_nothing_left_and_no_negative_time() -> None:
    headers = limit_headers([state(REQUESTS, "1", "5", reset_s=-3)])
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert headers["x-ratelimit-reset-requests"] == "0.000s"


def test_without_limits_there_is_nothing_to_say() -> None:
    assert limit_headers([]) == {}


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "0"),
        ("0.00", "0"),
        ("100", "100"),
        ("1E+3", "1000"),
        ("1E-12", "0.000000000001"),
        ("12.50", "12.5"),
        ("0.000018000000", "0.000018"),
    ],
)
def test_amounts_have_neither_exponent_nor_idle_zeros(amount: str, text: str) -> None:
    assert plain(Decimal(amount)) == text


def test_who_answered_is_said() -> None:
    headers = deployment_headers(PricedDeployment(AZURE, PRICE), ("presence_penalty", "seed"))
    assert headers == {
        "x-gatehouse-provider": "azure_openai",
        "x-gatehouse-model": "mini",
        "x-gatehouse-region": "eu",
        "x-gatehouse-cache": "bypass",
        "x-kong-llm-model": "azure_openai/mini",
        "x-gatehouse-dropped-params": "presence_penalty, seed",
    }


def test_a_name_that_no_header_can_carry_is_not_told() -> None:
    odd = ["☃foo", "a\r\nset-cookie: b", "a\n", "", "a b", "a,b", "x" * 65, "y" * 200_000]
    assert dropped_params_header(odd) == {}
    assert dropped_params_header([*odd, "seed", "tools[0].function.strict", "z" * 64]) == {
        "x-gatehouse-dropped-params": f"seed, tools[0].function.strict, {'z' * 64}"
    }
    headers = deployment_headers(PricedDeployment(AZURE, PRICE), odd)
    assert "x-gatehouse-dropped-params" not in headers


def test_at_most_twenty_names_are_told() -> None:
    names = [f"p{number}" for number in range(1000)]
    twenty = ", ".join(names[:20])
    assert dropped_params_header(names[:20]) == {"x-gatehouse-dropped-params": twenty}
    assert dropped_params_header(names) == {"x-gatehouse-dropped-params": f"{twenty}, ..."}


def test_every_name_is_in_lower_case() -> None:
    """HTTP/2 knows no other, and Kong's PDK matches by it."""
    states = [state(measure, "10", "1") for measure in Measure]
    priced = PricedDeployment(OPENAI, PRICE)
    usage = TokenUsage(1, output_tokens=1)
    names = [
        *limit_headers(states),
        *deployment_headers(priced, ("a",)),
        *cost_header(usage, priced),
    ]
    assert names == [name.lower() for name in names]
    assert all(name.startswith(("x-gatehouse-", "x-ratelimit-", "x-kong-llm-")) for name in names)


def test_a_cost_that_cannot_be_told_is_left_out_rather_than_zero() -> None:
    priced = PricedDeployment(OPENAI, PRICE)
    assert cost_header(TokenUsage(12, output_tokens=3), priced) == {
        "x-gatehouse-cost-usd": "0.000018"
    }
    assert cost_header(TokenUsage(12), priced) == {}
    assert cost_header(TokenUsage(5, cached_input_tokens=9, output_tokens=1), priced) == {}
    assert cost_header(TokenUsage(0, output_tokens=0), priced) == {"x-gatehouse-cost-usd": "0"}
