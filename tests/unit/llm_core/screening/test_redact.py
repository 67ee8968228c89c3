"""Placeholders: one for each value, never one that was there, and back again."""

from itertools import permutations

from llm_core.screening.redact import Finding, Placeholders, Restorer, resolved


def test_findings_that_overlap_become_one_whatever_their_order() -> None:
    given = [Finding(0, 5, "A"), Finding(3, 9, "B"), Finding(9, 12, "C"), Finding(20, 25, "D")]
    expected = [Finding(0, 9, "B"), Finding(9, 12, "C"), Finding(20, 25, "D")]
    assert all(resolved(order) == expected for order in permutations(given))


def test_among_equals_the_surest_gives_its_kind_then_the_first_by_name() -> None:
    assert resolved([Finding(0, 5, "B", 0.9), Finding(0, 5, "A", 0.5)])[0].kind == "B"
    assert resolved([Finding(0, 5, "B", 0.9), Finding(0, 5, "A", 0.9)])[0].kind == "A"


def test_the_same_value_has_the_same_placeholder_and_another_kind_its_own() -> None:
    placeholders = Placeholders()
    text = "ab ab ba"
    said = placeholders.redacted(text, [Finding(0, 2, "X"), Finding(3, 5, "X"), Finding(6, 8, "X")])
    assert said == "<X_1> <X_1> <X_2>"
    assert placeholders.redacted("ab", [Finding(0, 2, "Y")]) == "<Y_1>"
    assert Restorer(placeholders.values)("<X_2><Y_1><X_9>") == "baab<X_9>"


def test_a_placeholder_that_stands_in_the_words_is_given_to_nobody() -> None:
    placeholders = Placeholders()
    placeholders.avoid("what is <X_1>, and <X_2>?")
    assert placeholders.redacted("ab", [Finding(0, 2, "X")]) == "<X_3>"


def test_what_lies_inside_of_a_placeholder_of_the_call_is_no_finding() -> None:
    placeholders = Placeholders()
    text = placeholders.redacted("ab", [Finding(0, 2, "X")])
    assert placeholders.outside(text, [Finding(1, 4, "Y")]) == []
    assert placeholders.outside("<Z_1>", [Finding(1, 4, "Y")]) == [Finding(1, 4, "Y")]


def test_only_what_may_begin_a_placeholder_is_held_back() -> None:
    restorer = Restorer({"<EMAIL_ADDRESS_1>": "anna@example.org"})
    assert restorer.certain("see <EMAIL_") == 4
    assert restorer.certain("see <b> a") == 9
    assert restorer.certain("see <EMAIL_ADDRESS_1>") == 21
    assert Restorer({}).certain("see <EMAIL_") == 11
