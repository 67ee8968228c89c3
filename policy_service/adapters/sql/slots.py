"""Which span of time, or which slot of latency, a row lies in: a search that the database does."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, case, literal_column


def place(figure: ColumnElement[Any], bounds: Sequence[object]) -> ColumnElement[int]:
    """How many of the ascending `bounds` a figure is not below: `bisect_right`, in SQL.

    Halving takes eight comparisons for a year of days, where a list of `WHEN`s takes up to 365.
    """
    return _half(figure, bounds, 0, len(bounds))


def _half(
    figure: ColumnElement[Any], bounds: Sequence[object], low: int, high: int
) -> ColumnElement[int]:
    if low == high:
        return literal_column(str(low))
    middle = (low + high) // 2
    return case(
        (figure < bounds[middle], _half(figure, bounds, low, middle)),
        else_=_half(figure, bounds, middle + 1, high),
    )
