import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_service.adapters.regopy_text import from_rego, rego_term

_PLAIN_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ue000\ufffd"))


def _has_stand_in(text: str) -> bool:
    return any(0xE000 <= ord(character) < 0xE040 for character in text)


@given(st.lists(_PLAIN_TEXT.filter(lambda text: not _has_stand_in(text))))
def test_what_goes_in_comes_out_again(texts: list[str]) -> None:
    assert from_rego(json.loads(rego_term(texts))) == texts


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.text(max_size=3)))
def test_no_text_has_an_escape_in_it(document: dict[str, str]) -> None:
    assert "\\" not in rego_term(document)


@given(_PLAIN_TEXT, _PLAIN_TEXT)
def test_different_texts_stay_different(one: str, other: str) -> None:
    if not _has_stand_in(one + other):
        assert (rego_term(one) == rego_term(other)) == (one == other)


def test_a_stand_in_from_outside_does_not_become_what_it_stands_for() -> None:
    assert rego_term("\ue022") != rego_term('"')
    assert from_rego(json.loads(rego_term("a\ue022"))) == "a\ufffd"


def test_an_ordinary_document_is_plain_json() -> None:
    assert rego_term({"a": [1, 0.5, None, True, "é"]}) == '{"a":[1,0.5,null,true,"é"]}'


@pytest.mark.parametrize("value", [{"a": object()}, "\ud800", {1: {2, 3j}}])
def test_what_is_no_json_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"not a JSON document|surrogates"):
        rego_term(value)
