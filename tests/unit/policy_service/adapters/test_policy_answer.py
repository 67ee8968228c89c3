from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_core.errors import PolicyUnavailable
from llm_core.policy.decision import CacheScope, Obligations, Reason
from policy_service.adapters.policy_answer import policy_result
from tests.fixtures.policy_inputs import chat_input, listing_input

REASON = {
    "code": "unpriced_model",
    "message": "No price.",
    "rule": "llm.pricing",
    "solution": "Add one.",
    "deployment": "costly",
}
ALLOWED: dict[str, Any] = {
    "allow": True,
    "permitted": ["cheap", "free"],
    "models": [],
    "reasons": [REASON],
    "obligations": {"max_output_tokens": None},
    "revision": "r1",
}
DENIED: dict[str, Any] = {**ALLOWED, "allow": False, "permitted": []}


def test_an_allowed_call_is_read_whole() -> None:
    answer = {**ALLOWED, "obligations": {"max_output_tokens": 512}}
    result = policy_result(answer, chat_input())
    assert result.allow
    assert result.permitted == ("cheap", "free")
    assert result.reasons == (Reason("unpriced_model", "No price.", "llm.pricing", "Add one."),)
    assert result.obligations == Obligations(max_output_tokens=512)
    assert result.revision == "r1"
    assert result.models == ()


def test_a_denied_call_is_read_whole() -> None:
    result = policy_result(DENIED, chat_input())
    assert (result.allow, result.permitted, result.models) == (False, (), ())


def test_a_reason_against_many_deployments_is_given_once() -> None:
    answer = {**DENIED, "reasons": [REASON, {**REASON, "deployment": "cheap"}]}
    assert len(policy_result(answer, chat_input()).reasons) == 1


def test_a_listing_is_read_with_its_models() -> None:
    answer = {**ALLOWED, "permitted": [], "models": ["b"], "reasons": []}
    assert policy_result(answer, listing_input("a", "b")).models == ("b",)


def test_an_empty_listing_is_allowed() -> None:
    answer = {**ALLOWED, "permitted": [], "reasons": []}
    assert policy_result(answer, listing_input("a")).allow


def test_a_whole_number_of_tokens_may_be_written_with_a_fraction() -> None:
    answer = {**ALLOWED, "obligations": {"max_output_tokens": 512.0}}
    assert policy_result(answer, chat_input()).obligations.max_output_tokens == 512


def test_the_cache_is_read_as_policy_says() -> None:
    said = {"max_output_tokens": None, "cache_seconds": 60.0, "cache_scope": "user"}
    result = policy_result({**ALLOWED, "obligations": said}, chat_input())
    assert result.obligations == Obligations(cache_seconds=60, cache_scope=CacheScope.USER)


def test_a_policy_that_is_silent_on_the_cache_keeps_nothing() -> None:
    assert policy_result(ALLOWED, chat_input()).obligations.cache_seconds == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"allow": 1},
        {"allow": "true"},
        {"allow": None},
        {"permitted": None},
        {"permitted": "cheap"},
        {"permitted": [1]},
        {"permitted": ["free", "cheap"]},
        {"permitted": ["elsewhere"]},
        {"permitted": ["cheap", "cheap"]},
        {"permitted": []},
        {"allow": False},
        {"models": ["chat"]},
        {"models": None},
        {"reasons": None},
        {"reasons": ["no"]},
        {"reasons": [{"code": "x"}]},
        {"reasons": [{**REASON, "message": 1}]},
        {"allow": False, "permitted": [], "reasons": []},
        {"allow": False, "permitted": [], "models": ["chat"]},
        {"obligations": None},
        {"obligations": {}},
        {"obligations": {"max_output_tokens": 0}},
        {"obligations": {"max_output_tokens": -5}},
        {"obligations": {"max_output_tokens": 1.5}},
        {"obligations": {"max_output_tokens": True}},
        {"obligations": {"max_output_tokens": "512"}},
        {"obligations": {"max_output_tokens": float("inf")}},
        {"obligations": {"max_output_tokens": None, "screen": True}},
        {"obligations": {"max_output_tokens": None, "cache_seconds": -1}},
        {"obligations": {"max_output_tokens": None, "cache_seconds": 0.5}},
        {"obligations": {"max_output_tokens": None, "cache_seconds": True}},
        {"obligations": {"max_output_tokens": None, "cache_seconds": None}},
        {"obligations": {"max_output_tokens": None, "cache_seconds": 1e9}},
        {"obligations": {"max_output_tokens": None, "cache_scope": "everybody"}},
        {"obligations": {"max_output_tokens": None, "cache_scope": None}},
        {"revision": None},
    ],
)
def test_an_answer_that_is_no_decision_is_a_fault(wrong: dict[str, Any]) -> None:
    with pytest.raises(PolicyUnavailable):
        policy_result({**ALLOWED, **wrong}, chat_input())


@pytest.mark.parametrize("part", sorted(ALLOWED))
def test_an_answer_that_lacks_a_part_is_a_fault(part: str) -> None:
    answer = deepcopy(ALLOWED)
    del answer[part]
    with pytest.raises(PolicyUnavailable):
        policy_result(answer, chat_input())


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    _JSON
    | st.builds(
        lambda part, value: {**ALLOWED, part: value}, st.sampled_from(sorted(ALLOWED)), _JSON
    )
)
def test_whatever_comes_back_it_is_a_decision_or_a_fault(answer: object) -> None:
    document = chat_input()
    try:
        result = policy_result(answer, document)
    except PolicyUnavailable:
        return
    assert result.allow == bool(result.permitted)
    assert set(result.permitted) <= {candidate["id"] for candidate in document["candidates"]}
