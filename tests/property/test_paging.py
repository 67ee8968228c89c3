"""Pages: every row once, in order, whatever is added or removed between two of them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_core.errors import MalformedRequest
from policy_service.api.paging import Page, Pages

ROWS = Pages("rows", tuple[int, str])
PLACES = st.tuples(st.integers(-(2**53), 2**53), st.text(max_size=5))


def read(rows: list[tuple[int, str]], limit: int, *, newest_first: bool = False) -> list[Any]:
    found: list[Any] = []
    cursor = None
    while True:
        shown, cursor = ROWS.page_of(
            rows, Page(limit, cursor), lambda one: one, newest_first=newest_first
        )
        found += shown
        if cursor is None:
            return found


@given(rows=st.lists(PLACES, unique=True), limit=st.integers(1, 7), newest_first=st.booleans())
def test_pages_make_up_the_whole(
    rows: list[tuple[int, str]], limit: int, newest_first: bool
) -> None:
    assert read(rows, limit, newest_first=newest_first) == sorted(rows, reverse=newest_first)


@given(rows=st.lists(PLACES, unique=True, min_size=4), data=st.data())
def test_what_comes_or_goes_between_pages_moves_nothing_else(
    rows: list[tuple[int, str]], data: st.DataObject
) -> None:
    ordered = sorted(rows)
    shown, cursor = ROWS.page_of(rows, Page(2), lambda one: one)
    gone = data.draw(st.sampled_from(ordered))
    come = data.draw(PLACES.filter(lambda one: one not in rows))
    later = [one for one in rows if one != gone] + [come]
    rest, _ = ROWS.page_of(later, Page(100, cursor), lambda one: one)
    seen = [*shown, *rest]
    assert len(set(seen)) == len(seen)
    assert {one for one in ordered if one != gone} <= set(seen)


@given(place=PLACES)
def test_a_cursor_says_its_place_to_its_own_list_only(place: tuple[int, str]) -> None:
    cursor = ROWS.cursor(place)
    assert cursor.isascii()
    assert ROWS.after(Page(1, cursor)) == place
    with pytest.raises(MalformedRequest, match="cursor"):
        Pages("others", tuple[int, str]).after(Page(1, cursor))


@given(cursor=st.text() | st.binary().map(lambda some: some.hex()))
def test_what_is_no_cursor_is_refused_in_words(cursor: str) -> None:
    with pytest.raises(MalformedRequest, match="earlier answer of this same list") as told:
        ROWS.after(Page(1, cursor))
    assert told.value.param == "cursor"


def test_moments_are_places_too() -> None:
    pages = Pages("times", tuple[datetime, str])
    at = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
    assert pages.after(Page(1, pages.cursor((at, "x")))) == (at, "x")
