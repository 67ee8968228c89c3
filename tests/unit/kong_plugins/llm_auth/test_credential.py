import pytest

from kong_plugins.llm_auth.credential import to_clear_in
from llm_core.policy.presented import api_key_in


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": ["Bearer gk-1"]},
        {"authorization": ["bearer   gk-1  "]},
        {"api-key": ["gk-1"]},
        {"x-api-key": [" gk-1 "]},
        {"authorization": ["Basic dXNlcjpwdw=="], "x-api-key": ["gk-1"]},
        {"authorization": ["Bearer "], "api-key": ["gk-1"]},
    ],
)
def test_the_key_is_found_wherever_an_sdk_puts_it(headers: dict[str, list[str]]) -> None:
    assert api_key_in(headers) == "gk-1"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": []},
        {"authorization": [""]},
        {"authorization": ["gk-1"]},
        {"authorization": ["Basic gk-1"]},
        {"api-key": [" "]},
        {"authorization": ["Bearer gk-1", "Bearer gk-2"]},
        {"x-api-key": ["gk-1", "gk-1"]},
    ],
)
def test_what_is_no_key_or_comes_twice_counts_as_not_sent(headers: dict[str, list[str]]) -> None:
    assert api_key_in(headers) is None


def test_the_first_header_wins_over_the_others() -> None:
    headers = {"x-api-key": ["c"], "api-key": ["b"], "authorization": ["Bearer a"]}
    assert api_key_in(headers) == "a"


def test_keys_and_what_steers_our_account_are_not_for_the_provider() -> None:
    headers = {
        "authorization": ["Bearer gk-1"],
        "content-type": ["application/json"],
        "x-api-key": ["gk-1", "gk-1"],
        "openai-organization": ["org-of-somebody"],
        "anthropic-beta": ["context-1m"],
        "cookie": ["session=1"],
    }
    assert to_clear_in(headers) == ["x-api-key", "openai-organization", "anthropic-beta", "cookie"]
    assert to_clear_in({"authorization": ["Bearer gk-1"]}) == []


@pytest.mark.parametrize(
    "name",
    [
        "x-gatehouse-use-case",
        "x-gatehouse-data-labels",
        "x-gatehouse-ticket",
        "x-policy-id",
        "extra-parameters",
        "content-encoding",
        "x-ms-anything",
        "apikey",
        "x-new",
    ],
)
def test_a_header_that_nobody_knows_does_not_travel(name: str) -> None:
    assert to_clear_in({"accept": ["*/*"], name: ["x"]}) == [name]


@pytest.mark.parametrize(
    "name", ["user-agent", "x-stainless-lang", "traceparent", "x-forwarded-for", "content-type"]
)
def test_what_the_official_sdk_sends_costs_no_pdk_call(name: str) -> None:
    assert to_clear_in({name: ["x"]}) == []
