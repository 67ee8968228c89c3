"""How frames look as tables: what each column is called and how its values are written. Pure."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pandas as pd  # type: ignore[import-untyped] # its stubs are a package of their own
import streamlit as st
from pandas.io.formats.style import Styler  # type: ignore[import-untyped]

from dashboard.formats import NOTHING, Currency, count_text, duration_text, percent_text
from dashboard.frames.costs import TOTAL

_ALARM = "color: #D55E00; font-weight: bold"
_BOLD = "font-weight: bold"
_FAILED = 400
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Kind(StrEnum):
    """What a column holds, and so how it is written."""

    TEXT = "text"
    NUMBER_TEXT = "number_text"
    """Written already, in units of its own."""
    COUNT = "count"
    MONEY = "money"
    CHANGE = "change"
    """Of money, with its sign."""
    SHARE = "share"
    """0 to 1."""
    BAR = "bar"
    """0 to 100, drawn."""
    TIME = "time"
    DURATION = "duration"
    """In milliseconds."""
    STATUS = "status"
    """Of HTTP: failures stand out."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    heading: str
    kind: Kind = Kind.TEXT
    width: str | None = None


Columns = Sequence[Column]


def styled(frame: pd.DataFrame, columns: Columns, currency: Currency) -> Styler:
    """Write out every value; totals are bold, what went wrong stands out."""
    shown = frame[[column.name for column in columns]]
    writers: dict[Kind, Callable[[Any], str]] = {
        Kind.COUNT: count_text,
        Kind.MONEY: currency.text,
        Kind.CHANGE: currency.change,
        Kind.SHARE: lambda value: percent_text(value, 1),
        Kind.TIME: _time_text,
        Kind.DURATION: duration_text,
    }
    formats = {column.name: writers[column.kind] for column in columns if column.kind in writers}
    style = shown.style.format(formats, na_rep=NOTHING)
    if len(shown):
        # Only the lines that are bold: asking each of a thousand takes longer than all the rest.
        totals = shown.index[shown.iloc[:, 0] == TOTAL]
        if len(totals):
            style = style.map(_bold, subset=pd.IndexSlice[totals, :])
        for column in columns:
            if column.kind is Kind.STATUS:
                style = style.map(_failure, subset=[column.name])
    return style


def config(columns: Columns) -> Mapping[str, Any]:
    """The columns as Streamlit wants them: headings, and numbers to the right."""
    return {column.name: _config(column) for column in columns}


def csv_text(frame: pd.DataFrame) -> str:
    """A frame as a file that spreadsheets open: exact amounts, and no cell that is a formula."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(frame.columns)
    for line in frame.itertuples(index=False):
        writer.writerow([_cell(value) for value in line])
    return out.getvalue()


def _cell(value: object) -> str:
    if value is None or value is pd.NaT:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, str):
        # A name that begins like a formula would be run by whoever opens the file.
        return f"'{value}" if value.startswith(_FORMULA) else value
    return str(value)


def _config(column: Column) -> object:
    width: Any = column.width
    if column.kind is Kind.BAR:
        return st.column_config.ProgressColumn(
            column.heading,
            format="%.0f %%",
            min_value=0,
            max_value=100,
            color="primary",
            width=width,
        )
    is_text = column.kind in (Kind.TEXT, Kind.TIME)
    return st.column_config.Column(
        column.heading, alignment="left" if is_text else "right", width=width
    )


def _bold(_value: object) -> str:
    return _BOLD


def _failure(status: int) -> str:
    return _ALARM if status >= _FAILED else ""


def _time_text(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
