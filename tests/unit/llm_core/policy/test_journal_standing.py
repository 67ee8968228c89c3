"""The header by which plugins say how their journal stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_core.policy.journal_standing import JournalStanding, name_of, read, written

STANDING = JournalStanding("gw-1:/var/lib/gatehouse/usage-journal.jsonl", 1234, 56, True)
HEADER = "name=gw-1:/var/lib/gatehouse/usage-journal.jsonl; waiting=1234; oldest_s=56; full=1"


def test_the_header_reads_as_it_was_written() -> None:
    assert written(STANDING) == HEADER
    assert read(HEADER) == STANDING


@given(
    st.builds(name_of, st.text(min_size=1), st.text()),
    st.integers(0, 999_999_999),
    st.integers(0, 999_999_999),
    st.booleans(),
)
def test_whatever_a_host_and_a_file_are_called_the_header_can_be_sent_and_read(
    name: str, waiting: int, oldest_s: int, is_full: bool
) -> None:
    standing = JournalStanding(name, waiting, oldest_s, is_full)
    assert written(standing).isascii()
    assert written(standing).isprintable()
    assert read(written(standing)) == standing


@pytest.mark.parametrize(
    "odd",
    [
        "",
        HEADER + " ",
        HEADER + "\n",
        HEADER.replace("; ", ";"),
        HEADER.replace("1234", "-1"),
        HEADER.replace("1234", "1e3"),
        HEADER.replace("1234", "1" * 10),
        HEADER.replace("1234", "١٢"),
        HEADER.replace("full=1", "full=2"),
        HEADER.replace("full=1", "full=1; more=1"),
        HEADER.replace("gw-1", "gw 1"),
        HEADER.replace("gw-1", "<b>"),
        HEADER.replace("gw-1", "g" * 200),
        "waiting=1; oldest_s=2; full=0",
    ],
)
def test_anything_else_says_nothing(odd: str) -> None:
    assert read(odd) is None


@given(st.text() | st.from_regex(r"name=.*; waiting=\d+; oldest_s=\d+; full=\d"))
def test_reading_never_fails_and_never_gives_a_name_that_could_not_be_written(odd: str) -> None:
    standing = read(odd)
    assert standing is None or read(written(standing)) == standing


def test_more_than_can_be_said_is_cut() -> None:
    most = JournalStanding("a:b", 10**12, 10**12, False)
    assert read(written(most)) == JournalStanding("a:b", 999_999_999, 999_999_999, False)


def test_it_is_calm_when_nothing_waits_and_it_can_be_written() -> None:
    assert JournalStanding("a:b", 0, 0, False).is_calm
    assert not JournalStanding("a:b", 0, 0, True).is_calm
    assert not JournalStanding("a:b", 1, 0, False).is_calm
