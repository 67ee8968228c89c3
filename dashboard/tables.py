"""How frames look as tables: formats, the line of totals, and the columns' headings. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pandas as pd  # type: ignore[import-untyped] # its stubs are a package of their own
import streamlit as st
from pandas.io.formats.style import Styler  # type: ignore[import-untyped]

from dashboard.formats import NOTHING, count_text, usd_text
from dashboard.frames import TOTAL

Columns = Mapping[str, Any]
_ALARM = "color: #D55E00; font-weight: bold"

SPEND_COLUMNS: Columns = {
    "department": "Department",
    "team": "Team",
    "model": "Model",
    "requests": st.column_config.Column("Requests", alignment="right"),
    "input_tokens": st.column_config.Column("Input tokens", alignment="right"),
    "output_tokens": st.column_config.Column("Output tokens", alignment="right"),
    "usd": st.column_config.Column("USD", alignment="right"),
}
BUDGET_COLUMNS: Columns = {
    "department": "Department",
    "team": "Team",
    "used_usd": st.column_config.Column("Spent", alignment="right"),
    "budget_usd": st.column_config.Column("Budget", alignment="right"),
    "used_percent": st.column_config.ProgressColumn(
        "Used", format="%.0f %%", min_value=0, max_value=100, color="blue"
    ),
}
RECENT_COLUMNS: Columns = {
    "at": st.column_config.Column("Time (UTC)", width="medium"),
    "team": "Team",
    "asked_model": "Asked model",
    "served_model": "Served model",
    "tokens": st.column_config.Column("Tokens", alignment="right"),
    "usd": st.column_config.Column("USD", alignment="right"),
    "status": st.column_config.Column("Status", alignment="right"),
    "latency_ms": st.column_config.Column("Latency", alignment="right"),
}


def spend_table(frame: pd.DataFrame) -> Styler:
    """Style `frames.spend_frame`: money and counts written out, the totals in bold."""
    counts = dict.fromkeys(("requests", "input_tokens", "output_tokens"), count_text)
    return frame.style.format({**counts, "usd": usd_text}).apply(_bold_totals, axis=1)


def budget_table(frame: pd.DataFrame) -> Styler:
    """Style `frames.budget_frame`: what is spent stands out where it is over the budget."""
    money = {"used_usd": usd_text, "budget_usd": usd_text}
    return frame.style.format(money).apply(_overspent, axis=1)


def recent_table(frame: pd.DataFrame) -> Styler:
    """Style `frames.recent_frame`: a call that failed has its status in red."""
    formats = {
        "at": _time_text,
        "tokens": count_text,
        "usd": usd_text,
        "latency_ms": _latency_text,
    }
    return frame.style.format(formats, na_rep=NOTHING).map(_failure, subset=["status"])


def _bold_totals(line: "pd.Series[Any]") -> list[str]:
    return ["font-weight: bold" if line.iloc[0] == TOTAL else ""] * len(line)


def _overspent(line: "pd.Series[Any]") -> list[str]:
    is_over = line["budget_usd"] is not None and line["used_usd"] > line["budget_usd"]
    return [_ALARM if is_over and name == "used_usd" else "" for name in line.index]


def _failure(status: int) -> str:
    return _ALARM if status >= 400 else ""  # noqa: PLR2004


def _time_text(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _latency_text(latency_ms: float) -> str:
    return f"{latency_ms:,.0f} ms"
