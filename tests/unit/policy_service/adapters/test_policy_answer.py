from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_core.errors import PolicyUnavailable
from llm_core.policy.decision import (
    CacheScope,
    LogLevel,
    Obligations,
    PiiMode,
    PiiRules,
    Reason,
)
from policy_service.adapters.policy_answer import policy_result
from tests.fixtures.policy_inputs import chat_input, listing_input

REASON = {
    "code": "unpriced_model",
    "message": "No price.",
    "rule": "llm.pricing",
    "solution": "Add one.",
    "deployment": "costly",
}
PII = {"input": "off", "output": "off", "restore": False, "kinds": []}
OBLIGATIONS: dict[str, Any] = {
    "max_output_tokens": None,
    "cache_seconds": 0,
    "cache_scope": "team",
    "pii": PII,
    "guard": "",
    "log": {"level": "digest", "keep_days": 30},
}
ALLOWED: dict[str, Any] = {
    "allow": True,
    "permitted": ["cheap", "free"],
    "models": [],
    "reasons": [REASON],
    "obligations": OBLIGATIONS,
    "approval": "",
    "revision": "r1",
}
DENIED: dict[str, Any] = {**ALLOWED, "allow": False, "permitted": []}


def test_an_allowed_call_is_read_whole() -> None:
    result = policy_result(_obliged(max_output_tokens=512), chat_input())
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
    answer = _obliged(max_output_tokens=512.0)
    assert policy_result(answer, chat_input()).obligations.max_output_tokens == 512


def test_the_cache_is_read_as_policy_says() -> None:
    result = policy_result(_obliged(cache_seconds=60.0, cache_scope="user"), chat_input())
    assert result.obligations == Obligations(cache_seconds=60, cache_scope=CacheScope.USER)


def test_screening_and_keeping_of_words_are_read_as_policy_says() -> None:
    answer = _obliged(
        pii={"input": "redact", "output": "block", "restore": True, "kinds": ["IBAN_CODE"]},
        guard="strict",
        log={"level": "full", "keep_days": 7.0},
    )
    assert policy_result(answer, chat_input()).obligations == Obligations(
        pii=PiiRules(PiiMode.REDACT, PiiMode.BLOCK, restores=True, kinds=("IBAN_CODE",)),
        guard="strict",
        log_level=LogLevel.FULL,
        log_days=7,
    )


def test_no_obligation_may_be_left_unsaid() -> None:
    for part in OBLIGATIONS:
        said = {name: value for name, value in OBLIGATIONS.items() if name != part}
        with pytest.raises(PolicyUnavailable):
            policy_result({**ALLOWED, "obligations": said}, chat_input())


def test_the_approval_that_a_permission_rests_on_is_one_of_those_asked_about() -> None:
    document = chat_input()
    assert policy_result(ALLOWED, document).approval is None
    with pytest.raises(PolicyUnavailable):
        policy_result({**ALLOWED, "approval": "apr_1"}, document)
    document["approvals"] = [{"id": "apr_1"}]
    assert policy_result({**ALLOWED, "approval": "apr_1"}, document).approval == "apr_1"
    assert policy_result({**DENIED, "approval": "apr_1"}, document).approval is None


def _obliged(**said: Any) -> dict[str, Any]:
    return {**ALLOWED, "obligations": {**OBLIGATIONS, **said}}


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
        {"obligations": {**OBLIGATIONS, "max_output_tokens": 0}},
        {"obligations": {**OBLIGATIONS, "max_output_tokens": -5}},
        {"obligations": {**OBLIGATIONS, "max_output_tokens": 1.5}},
        {"obligations": {**OBLIGATIONS, "max_output_tokens": True}},
        {"obligations": {**OBLIGATIONS, "max_output_tokens": "512"}},
        {"obligations": {**OBLIGATIONS, "max_output_tokens": float("inf")}},
        {"obligations": {**OBLIGATIONS, "screen": True}},
        {"obligations": {**OBLIGATIONS, "cache_seconds": -1}},
        {"obligations": {**OBLIGATIONS, "cache_seconds": 0.5}},
        {"obligations": {**OBLIGATIONS, "cache_seconds": True}},
        {"obligations": {**OBLIGATIONS, "cache_seconds": None}},
        {"obligations": {**OBLIGATIONS, "cache_seconds": 1e9}},
        {"obligations": {**OBLIGATIONS, "cache_scope": "everybody"}},
        {"obligations": {**OBLIGATIONS, "cache_scope": None}},
        {"obligations": {**OBLIGATIONS, "pii": None}},
        {"obligations": {**OBLIGATIONS, "pii": {}}},
        {"obligations": {**OBLIGATIONS, "pii": {**PII, "input": "encrypt"}}},
        {"obligations": {**OBLIGATIONS, "pii": {**PII, "output": None}}},
        {"obligations": {**OBLIGATIONS, "pii": {**PII, "restore": 1}}},
        {"obligations": {**OBLIGATIONS, "pii": {**PII, "kinds": "all"}}},
        {"obligations": {**OBLIGATIONS, "pii": {**PII, "kinds": [1]}}},
        {"obligations": {**OBLIGATIONS, "pii": {**PII, "more": True}}},
        {"obligations": {**OBLIGATIONS, "guard": None}},
        {"obligations": {**OBLIGATIONS, "guard": 1}},
        {"obligations": {**OBLIGATIONS, "log": "digest"}},
        {"obligations": {**OBLIGATIONS, "log": {"level": "digest"}}},
        {"obligations": {**OBLIGATIONS, "log": {"level": "everything", "keep_days": 1}}},
        {"obligations": {**OBLIGATIONS, "log": {"level": "full", "keep_days": -1}}},
        {"obligations": {**OBLIGATIONS, "log": {"level": "full", "keep_days": 1.5}}},
        {"obligations": {**OBLIGATIONS, "log": {"level": "full", "keep_days": None}}},
        {"approval": None},
        {"approval": "apr_1"},
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
