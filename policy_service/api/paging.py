"""Pages of lists that can grow: `limit` and `cursor` in the query, `next` in the answer.

A cursor holds the place of a page's last row in the list's own order, so a page begins right behind
it whatever was added or removed meanwhile: no row comes twice, and none is left out that was there
all the time. Clients pass it back as it is.
"""

import base64
import binascii
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from fastapi import Depends, Query

from llm_core.chat.encoding import decode_value
from llm_core.errors import MalformedRequest

MOST_ROWS = 1000
MOST_SEQ = 2**63 - 1
"""What a database can count to."""
_LONGEST_CURSOR = 2000
_PADDED_TO = 4
"""Base64 comes in groups of so many characters; cursors leave the padding out."""
Row = TypeVar("Row")
Place = TypeVar("Place", bound=tuple[Any, ...])


@dataclass(frozen=True, slots=True)
class Page:
    """What a client asks for of a list.

    Args:
        limit: How many rows at most.
        cursor: The `next` of the page before; `None` for the first page.
    """

    limit: int
    cursor: str | None = None

    @property
    def wanted(self) -> int:
        """How many rows to fetch: one more than are shown, to know whether there is a next page."""
        return self.limit + 1


@dataclass(frozen=True, slots=True)
class Pages(Generic[Place]):
    """One list's pages.

    Args:
        name: The list's; a cursor of another one is refused.
        place: The type of a row's place: a tuple of what the list is ordered by.
    """

    name: str
    place: type[Place]

    def after(self, page: Page) -> Place | None:
        """The place behind which the page begins; `None` at the list's beginning.

        Raises:
            MalformedRequest: The cursor is none of this list.
        """
        if page.cursor is None:
            return None
        try:
            padded = page.cursor + "=" * (-len(page.cursor) % _PADDED_TO)
            packed = base64.b64decode(padded, altchars=b"-_", validate=True)
            name, told = msgspec.convert(decode_value(packed), tuple[str, list[Any]])
            place: Place | None = msgspec.convert(told, self.place)
        except (binascii.Error, ValueError):
            name, place = "", None
        if name != self.name:
            raise MalformedRequest(
                "`cursor` is the `next` of an earlier answer of this same list: pass it on as it "
                "is, or leave it out to begin anew.",
                param="cursor",
            )
        return place

    def cursor(self, place: Place) -> str:
        """The cursor of a place."""
        packed = msgspec.json.encode([self.name, list(place)])
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")

    def cut(
        self, rows: Sequence[Row], page: Page, place_of: Callable[[Row], Place]
    ) -> tuple[Sequence[Row], str | None]:
        """A page's rows and its `next`, out of `page.wanted` rows that begin where it does."""
        if len(rows) <= page.limit:
            return rows, None
        shown = rows[: page.limit]
        return shown, self.cursor(place_of(shown[-1]))

    def page_of(
        self,
        rows: Iterable[Row],
        page: Page,
        place_of: Callable[[Row], Place],
        *,
        newest_first: bool = False,
    ) -> tuple[Sequence[Row], str | None]:
        """A page of a list that is all there, put in the order of its places, or the opposite."""
        after = self.after(page)
        ordered = sorted(rows, key=place_of, reverse=newest_first)
        if after is not None:
            is_behind = operator.lt if newest_first else operator.gt
            ordered = [row for row in ordered if is_behind(place_of(row), after)]
        return self.cut(ordered, page, place_of)


_Limit = Query(ge=1, le=MOST_ROWS, description="How many rows at most.")
_Cursor = Query(
    max_length=_LONGEST_CURSOR, description="The `next` of the page before; left out: the first."
)


async def _page(
    limit: Annotated[int, _Limit] = 100, cursor: Annotated[str | None, _Cursor] = None
) -> Page:
    return Page(limit, cursor)


async def _short_page(
    limit: Annotated[int, _Limit] = 50, cursor: Annotated[str | None, _Cursor] = None
) -> Page:
    return Page(limit, cursor)


async def _long_page(
    limit: Annotated[int, _Limit] = MOST_ROWS, cursor: Annotated[str | None, _Cursor] = None
) -> Page:
    return Page(limit, cursor)


AskedPage = Annotated[Page, Depends(_page)]
"""For a handler's signature; 100 rows unless the client says otherwise."""

AskedShortPage = Annotated[Page, Depends(_short_page)]
"""The same with 50 rows."""

AskedLongPage = Annotated[Page, Depends(_long_page)]
"""The same with 1,000 rows, for lists that were answered whole before they had pages."""
