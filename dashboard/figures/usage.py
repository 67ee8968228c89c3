"""Use of models as figures."""

from collections.abc import Sequence

import altair as alt
import pandas as pd  # type: ignore[import-untyped] # its stubs are a package of their own

from dashboard.figures.palette import (
    Chart,
    colours,
    count_axis,
    heat,
    legend,
    more_colours,
    plain_axis,
    scale,
)
from dashboard.frames.usage import DAYS

_COLOURED = (
    "Input",
    "Cached input",
    "Cache write",
    "Output",
    "Reasoning",
    "Image input",
    "Audio input",
    "Audio output",
)
_HEIGHT_PX = 260
_BAR_PX = 26
_NIGHT_PX = 26


def _days() -> alt.X:
    return alt.X(
        "start:T",
        title=None,
        axis=alt.Axis(format="%d %b", labelOverlap=True, ticks=False, grid=False),
    )


def requests_line(days: pd.DataFrame, *, is_dark: bool) -> Chart:
    """Draw requests over time; `days` as `frames.usage.days_frame` gives it."""
    figure: Chart = (
        alt.Chart(days)
        .mark_area(
            line={"color": colours(is_dark)[0], "strokeWidth": 2},
            color=colours(is_dark)[0],
            fillOpacity=0.15,
        )
        .encode(
            x=_days(),
            y=alt.Y("requests:Q", title=None, axis=count_axis()),
            tooltip=[
                alt.Tooltip("start:T", title="From", format="%Y-%m-%d %H:%M"),
                alt.Tooltip("requests:Q", title="Requests", format=","),
                alt.Tooltip("failed:Q", title="Failed", format=","),
            ],
        )
        .properties(height=_HEIGHT_PX)
    )
    return figure


def tokens_by_bucket(buckets: pd.DataFrame, *, is_dark: bool) -> Chart:
    """Draw tokens over time; `buckets` as `frames.usage.buckets_frame` gives it."""
    figure: Chart = (
        alt.Chart(buckets)
        .mark_bar()
        .encode(
            x=alt.X(
                "yearmonthdate(start):T",
                title=None,
                axis=alt.Axis(format="%d %b", labelOverlap=True, ticks=False, grid=False),
            ),
            y=alt.Y("sum(tokens):Q", title=None, axis=count_axis()),
            color=alt.Color("bucket:N", scale=_of_buckets(buckets, is_dark), legend=legend(3)),
            order=alt.Order("rank:Q"),
            tooltip=[
                alt.Tooltip("yearmonthdate(start):T", title="Day"),
                alt.Tooltip("bucket:N", title="Bucket"),
                alt.Tooltip("sum(tokens):Q", title="Tokens", format=","),
            ],
        )
        .properties(height=_HEIGHT_PX)
    )
    return figure


def _of_buckets(buckets: pd.DataFrame, is_dark: bool) -> alt.Scale:
    """A colour for each bucket that is there, the same whichever others are."""
    known = dict(zip(_COLOURED, (*colours(is_dark), *more_colours(is_dark)), strict=True))
    names = buckets.sort_values("rank")["bucket"].unique()
    return alt.Scale(domain=[*names], range=[known[name] for name in names])


def heat_map(hours: pd.DataFrame, *, is_dark: bool) -> Chart:
    """Draw requests by hour of the week; `hours` as `frames.usage.heat_frame` gives it."""
    figure: Chart = (
        alt.Chart(hours.drop(columns="usd"))
        .mark_rect()
        .encode(
            x=alt.X("hour:O", title=None, axis=plain_axis()),
            y=alt.Y("day:N", sort=list(DAYS), title=None, axis=plain_axis()),
            color=alt.Color(
                "requests:Q",
                scale=alt.Scale(range=list(heat(is_dark))),
                legend=alt.Legend(title=None, format="~s", orient="right"),
            ),
            tooltip=[
                alt.Tooltip("day:N", title="Day"),
                alt.Tooltip("hour:O", title="Hour"),
                alt.Tooltip("requests:Q", title="Requests", format=","),
                alt.Tooltip("tokens:Q", title="Tokens", format=","),
            ],
        )
        .properties(height=alt.Step(_NIGHT_PX))
    )
    return figure


def lines(
    frame: pd.DataFrame,
    names: Sequence[str],
    *,
    kind: str,
    value: str,
    is_dark: bool,
    as_percent: bool = False,
) -> Chart:
    """Draw a line for each kind over time.

    Args:
        frame: With `start` and the columns that `kind` and `value` name.
        names: The kinds, in their order.
        kind: The column of kinds.
        value: The column of values.
        is_dark: Whether the ground is dark.
        as_percent: Whether the values are shares.
    """
    written = ".0%" if as_percent else ",~s"
    figure: Chart = (
        alt.Chart(frame)
        .mark_line(point=alt.OverlayMarkDef(size=18), strokeWidth=2)
        .encode(
            x=_days(),
            y=alt.Y(
                f"{value}:Q",
                title=None,
                # Without it a line of noughts is drawn in the middle of nothing.
                scale=alt.Scale(domain=[0, 1]) if not frame[value].any() else alt.Undefined,
                axis=alt.Axis(format=written, tickCount=5, domain=False, ticks=False),
            ),
            color=alt.Color(f"{kind}:N", scale=scale(names, is_dark), legend=legend()),
            tooltip=[
                alt.Tooltip("start:T", title="From", format="%Y-%m-%d"),
                alt.Tooltip(f"{kind}:N", title="What"),
                alt.Tooltip(f"{value}:Q", title="Value", format=".1%" if as_percent else ","),
            ],
        )
        .properties(height=_HEIGHT_PX)
    )
    return figure


def counted_bars(frame: pd.DataFrame, *, name: str, is_dark: bool, most: int = 10) -> Chart:
    """Draw `requests` of each `name`, in the frame's order."""
    bars = frame.head(most)[[name, "requests", "share"]]
    figure: Chart = (
        alt.Chart(bars)
        .mark_bar(cornerRadius=2, color=colours(is_dark)[2], height=_BAR_PX * 0.6)
        .encode(
            x=alt.X("requests:Q", title=None, axis=count_axis()),
            y=alt.Y(f"{name}:N", sort=list(bars[name]), title=None, axis=plain_axis()),
            tooltip=[
                alt.Tooltip(f"{name}:N", title="What"),
                alt.Tooltip("requests:Q", title="Requests", format=","),
                alt.Tooltip("share:Q", title="Percent", format=".1f"),
            ],
        )
        .properties(height=alt.Step(_BAR_PX))
    )
    return figure
