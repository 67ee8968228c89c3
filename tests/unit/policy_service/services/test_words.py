from typing import Any

import pytest

from policy_service.services.words import replaced, texts_in, without_blobs

PNG = "data:image/png;base64," + "iVBORw0KGgo" * 40


def test_every_text_is_found_once_and_keys_are_texts_too() -> None:
    said = {"messages": [{"role": "user", "content": "hi"}, {"role": "user", "content": ["hi"]}]}
    assert texts_in(said) == ["messages", "role", "user", "content", "hi"]


def test_texts_are_put_back_where_they_were() -> None:
    said = {"a": ["x", {"x": "y", "n": 3, "is": True, "nothing": None}], "long": 4915112345678}
    texts = {text: text.upper() for text in texts_in(said)}
    assert replaced(said, texts) == {
        "A": ["X", {"X": "Y", "N": 3, "IS": True, "NOTHING": None}],
        "LONG": 4915112345678,
    }


def test_a_long_number_may_be_somebodys() -> None:
    said = {"phone": 4915112345678, "small": 12}
    assert "4915112345678" in texts_in(said)
    texts = {**{text: text for text in texts_in(said)}, "4915112345678": "<PHONE_1>"}
    assert replaced(said, texts) == {"phone": "<PHONE_1>", "small": 12}


@pytest.mark.parametrize("blob", [PNG, "QUJD" * 100, [1, 2, 3], [0.25, -1], [123456789]])
def test_what_nobody_can_redact_is_left_out(blob: Any) -> None:
    kept, is_cut = without_blobs({"part": blob}, 10_000)
    assert kept["part"].endswith("left out>")
    assert not is_cut


def test_log_probabilities_repeat_the_answer_in_pieces_and_go() -> None:
    said = {"choices": [{"logprobs": {"content": [{"token": "Al"}, {"token": "ice"}]}}]}
    assert without_blobs(said, 1000) == ({"choices": [{}]}, False)


def test_a_text_that_does_not_fit_is_left_out_whole() -> None:
    said = {"a": "x" * 60, "b": "alice@example.org " * 10, "c": "y"}
    kept, is_cut = without_blobs(said, 100)
    assert is_cut
    assert kept["a"] == said["a"]
    assert "alice" not in str(kept)


def test_a_million_small_pieces_are_cut_too() -> None:
    kept, is_cut = without_blobs({"flags": [True, "x"] * 1000}, 100)
    assert is_cut
    assert kept["flags"].count(True) < 100


def test_ordinary_words_stay() -> None:
    said = {"text": "Grüße, " * 50, "list": ["a", 1, None], "empty": [], "flags": [True, False]}
    assert without_blobs(said, 10_000) == (said, False)
