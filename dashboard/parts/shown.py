"""Figures and tables on a page: every figure has words for who cannot see it, and its numbers."""

from collections.abc import Sequence
from typing import Literal

import pandas as pd  # type: ignore[import-untyped] # its stubs are a package of their own
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import tables, wiring
from dashboard.figures.palette import Chart
from dashboard.formats import NOTHING
from dashboard.tables import Columns

_MOST_LINES = 1000
_TALL_PX = 460
_LINE_PX = 36


def figure(chart: Chart, *, key: str, alt: str) -> None:
    """A figure, and in words what it shows."""
    st.altair_chart(chart, key=key, alt=alt)


def table(frame: pd.DataFrame, columns: Columns, *, key: str, alt: str) -> None:
    """A table; a long one scrolls."""
    lines = frame.head(_MOST_LINES)
    st.dataframe(
        tables.styled(lines, columns, wiring.currency()),
        column_config=tables.config(columns),
        hide_index=True,
        height=_height(lines),
        placeholder=NOTHING,
        key=key,
        alt=alt,
    )
    _show_rest(frame)


def chosen_line(frame: pd.DataFrame, columns: Columns, *, key: str, alt: str) -> int | None:
    """A table of which a line can be chosen; which one is."""
    lines = frame.head(_MOST_LINES)
    drawn = st.dataframe(
        tables.styled(lines, columns, wiring.currency()),
        column_config=tables.config(columns),
        hide_index=True,
        height=_height(lines),
        placeholder=NOTHING,
        key=key,
        alt=alt,
        on_select="rerun",
        selection_mode="single-row",
    )
    _show_rest(frame)
    chosen = drawn.selection.rows
    return int(chosen[0]) if chosen and chosen[0] < len(lines) else None


def clicked_line(frame: pd.DataFrame, columns: Columns, *, key: str, alt: str) -> int | None:
    """As `chosen_line`, but once for each click: what is chosen elsewhere meanwhile stays."""
    line = chosen_line(frame, columns, key=key, alt=alt)
    before, st.session_state[f"_line_{key}"] = st.session_state.get(f"_line_{key}"), line
    return None if line == before else line


def _height(lines: pd.DataFrame) -> int | Literal["content"]:
    return _TALL_PX if (len(lines) + 1) * _LINE_PX > _TALL_PX else "content"


def _show_rest(frame: pd.DataFrame) -> None:
    if len(frame) > _MOST_LINES:
        st.caption(f"The first {_MOST_LINES:,} of {len(frame):,} lines; the file has them all.")


@st.fragment
def numbers(frame: pd.DataFrame, columns: Columns, *, key: str, alt: str) -> None:
    """A figure's numbers, folded away below it; made when somebody unfolds them, and alone."""
    fold = st.expander(
        "The numbers", icon=":material/table_rows:", key=f"{key}_fold", on_change="rerun"
    )
    if fold.open:
        with fold:
            table(frame, columns, key=key, alt=alt)


def csv_button(frame: pd.DataFrame, name: str, *, key: str) -> None:
    """A frame as a file, with every digit, in USD."""
    st.download_button(
        "CSV",
        tables.csv_text(frame),
        file_name=f"{name}.csv",
        mime="text/csv",
        icon=":material/download:",
        key=key,
        help="All lines, amounts in USD with every digit.",
        on_click="ignore",
    )


def metric(
    label: str,
    value: str,
    *,
    told: str | None = None,
    beside: str | None = None,
    is_alarm: bool = False,
) -> None:
    """A number that stands out.

    Args:
        label: What it is.
        value: As it is written.
        told: What it means, for who asks.
        beside: What it is compared with, in a few words.
        is_alarm: Whether that is bad.
    """
    st.metric(
        label,
        value,
        help=told,
        delta=beside,
        delta_arrow="off",
        delta_color="red" if is_alarm else "off",
        border=True,
        height="stretch",
    )


Told = tuple[str, str, str]
"""A number's label, the number as it is written, and what it means."""


def metrics(told: Sequence[Told], more: int = 0) -> Sequence[DeltaGenerator]:
    """Numbers in a row, and the places of so many more behind them, to be filled later."""
    columns = st.columns(len(told) + more)
    for column, (label, value, meaning) in zip(columns, told, strict=False):
        with column:
            metric(label, value, told=meaning or None)
    return columns[len(told) :]
