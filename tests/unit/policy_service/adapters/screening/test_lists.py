"""Compliance's lists: what is wrong with them is said at the start, and no term is quoted."""

from typing import Any

import pytest

from policy_service.adapters.screening import BrokenLists, read_lists
from policy_service.adapters.screening.looking import Looking, UnknownName


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ({"deny_list": []}, "deny_list"),
        ({"recognisers": [{"kind": "A", "pattern": "a", "cue": ["b"]}]}, "cue"),
        ({"recognisers": [{"kind": "not capitals", "pattern": "a"}]}, "recognisers[0].kind"),
        ({"recognisers": [{"kind": "A", "pattern": "(secret"}]}, "recognisers[0]"),
        ({"recognisers": [{"kind": "A", "pattern": "(secret)?"}]}, "recognisers[0]"),
        ({"guards": {"x": {"deny": [{"kind": "A", "pattern": "[secret"}]}}}, "guards.x.deny[0]"),
        ({"guards": {"x": {"allow": ["secret)"]}}}, "guards.x.allow[0]"),
        ({"guards": {"x": {"applies_to": ["users"]}}}, "applies_to"),
        ({"guards": {"x": {"max_chars": 0}}}, "max_chars"),
        ({"guards": {"x": {"moderation": {"model": "m"}}}}, "instructions"),
        ({"deny_lists": [{"kind": "A", "terms": [""]}]}, "terms"),
    ],
)
def test_what_cannot_be_used_is_named(content: dict[str, Any], place: str) -> None:
    with pytest.raises(BrokenLists) as broken:
        read_lists(content)
    assert place in str(broken.value)
    assert "secret" not in str(broken.value)


def test_a_pattern_can_find_a_part_match_case_and_need_a_cue() -> None:
    looking = Looking(
        read_lists(
            {
                "recognisers": [
                    {"kind": "PART", "pattern": r"no\. (?P<value>\d+)"},
                    {"kind": "CASED", "pattern": "ABC", "match_case": True},
                    {"kind": "CUED", "pattern": r"\d{4}-\d", "cues": ["file"]},
                ]
            }
        )
    )
    text = "No. 12, abc, ABC, file 1234-5\nand 5432-1"
    [found] = looking.find([text], ())
    assert [(one.kind, text[one.start : one.end]) for one in found] == [
        ("PART", "12"),
        ("CASED", "ABC"),
        ("CUED", "1234-5"),
    ]


def test_of_terms_that_begin_alike_the_longest_is_found_and_no_part_of_a_word() -> None:
    terms = ["Anna Meier", "Anna Meier Schmidt", "Ann"]
    looking = Looking(read_lists({"deny_lists": [{"kind": "PERSON", "terms": terms}]}))
    text = "ANNA MEIER-SCHMIDT, anna  meier; Annabel. Anna and then far away Meier"
    [found] = looking.find([text], ())
    assert [text[one.start : one.end] for one in found] == ["ANNA MEIER-SCHMIDT", "anna  meier"]


def test_allow_patterns_hold_for_the_users_words_only() -> None:
    looking = Looking(read_lists({"guards": {"x": {"allow": ["contract", "invoice"]}}}))
    said = [("You are kind.", "system"), ("About the INVOICE", "user"), ("{}", "tool")]
    assert looking.guard("x", said)["refused"] == []
    assert looking.guard("x", [*said, ("Sing!", "user")])["refused"] == ["NOT_ALLOWED"]


def test_a_kind_or_a_profile_that_is_not_there_is_no_empty_answer() -> None:
    looking = Looking(read_lists({}))
    with pytest.raises(UnknownName):
        looking.find(["text"], ["SHOE_SIZE"])
    with pytest.raises(UnknownName):
        looking.guard("x", [])
