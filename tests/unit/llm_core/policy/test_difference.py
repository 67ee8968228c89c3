"""What counts as a difference between two policies."""

from dataclasses import replace

import pytest

from llm_core.policy.difference import PolicyAnswer, changes_access, differences

ALLOWED = PolicyAnswer(True, ("a", "b"), (), {"max_output_tokens": None, "pii": {"kinds": ()}})
DENIED = PolicyAnswer(False, (), ("outside_eu",), {"max_output_tokens": None})


@pytest.mark.parametrize(
    ("before", "after", "kinds"),
    [
        (ALLOWED, ALLOWED, ()),
        (ALLOWED, replace(ALLOWED, obligations={**ALLOWED.obligations, "pii": {"kinds": []}}), ()),
        (ALLOWED, DENIED, ("denied", "codes")),
        (DENIED, ALLOWED, ("allowed", "codes")),
        (ALLOWED, replace(ALLOWED, permitted=("a",), codes=("x",)), ("permitted", "codes")),
        (ALLOWED, replace(ALLOWED, permitted=("b", "a")), ("permitted",)),
        (ALLOWED, replace(ALLOWED, obligations={"max_output_tokens": 5}), ("obligations",)),
        (DENIED, replace(DENIED, codes=("other",)), ("codes",)),
        (DENIED, replace(DENIED, obligations={"max_output_tokens": 5}), ()),
    ],
)
def test_answers_differ_in_what_a_caller_would_notice(
    before: PolicyAnswer, after: PolicyAnswer, kinds: tuple[str, ...]
) -> None:
    assert differences(before, after) == kinds


def test_access_changes_when_a_call_could_go_elsewhere_or_nowhere() -> None:
    assert changes_access(differences(ALLOWED, DENIED))
    assert changes_access(differences(ALLOWED, replace(ALLOWED, permitted=("a",))))
    assert not changes_access(differences(ALLOWED, replace(ALLOWED, obligations={"x": 1})))
    assert not changes_access(())
