import pytest

from sandbox.wishes import Fault, FaultKind, UnknownWish, Wishes, wishes_from


def test_a_plain_name_wishes_nothing():
    assert wishes_from("gpt-4o", {}) == Wishes("gpt-4o")


def test_wishes_are_read_from_the_name_in_any_order():
    assert wishes_from("gpt-4o--words-200--fault-cut_mid_stream-5--pace-50", {}) == Wishes(
        model="gpt-4o", fault=Fault(FaultKind.CUT_MID_STREAM, 5), tokens_per_s=50, words=200
    )


def test_a_suffix_that_is_no_wish_stays_in_the_name():
    assert wishes_from("meta--llama-3--pace-5", {}) == Wishes("meta--llama-3", tokens_per_s=5)
    assert wishes_from("a--fault-500--b", {}).model == "a--b"


def test_a_header_wins_over_the_name():
    headers = {"x-sandbox-fault": "503", "x-sandbox-tokens-per-s": "7.5", "x-sandbox-words": "3"}
    assert wishes_from("gpt-4o--fault-hang", headers) == Wishes(
        "gpt-4o", fault=Fault(FaultKind.UNAVAILABLE), tokens_per_s=7.5, words=3
    )


@pytest.mark.parametrize(
    "model", ["m--fault-typo", "m--fault-429-soon", "m--pace-0", "m--pace-nan", "m--words--3"]
)
def test_a_wish_that_is_not_understood_is_not_ignored(model: str):
    with pytest.raises(UnknownWish):
        wishes_from(model, {})
