import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_core.ids import RANDOM_BITS, is_id, sortable_id

times_ms = st.integers(0, 2**48 - 1)
chances = st.integers(0, 2**RANDOM_BITS - 1)


@given(times_ms, chances)
def test_what_is_made_is_an_id(now_ms: int, chance: int) -> None:
    assert is_id("dec", sortable_id("dec", now_ms, chance))


@given(times_ms, times_ms, chances, chances)
def test_ids_sort_by_time(one_ms: int, other_ms: int, one: int, other: int) -> None:
    earlier, later = sorted([(one_ms, one), (other_ms, other)])
    assert sortable_id("dec", *earlier) <= sortable_id("dec", *later)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dec",
        "dec_",
        "dec_01kaf3v2000123456789abcde",
        "dec_01kaf3v2000123456789abcdefg",
        "key_01kaf3v2000123456789abcdef",
        "dec_01KAF3V2000123456789ABCDEF",
        "dec_01kaf3v2000123456789abcdei",
        "dec_01kaf3v2000123456789abcde.",
        "dec_01kaf3v2000123456789abcde\n",
        "dec__1kaf3v2000123456789abcdef",
    ],
)
def test_what_is_none_is_seen(text: str) -> None:
    assert not is_id("dec", text)
