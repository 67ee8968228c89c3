"""Latency, errors and breakers as figures."""

from datetime import datetime

import altair as alt
import pandas as pd  # type: ignore[import-untyped] # its stubs are a package of their own

from dashboard.figures.palette import (
    Chart,
    colours,
    count_axis,
    ink,
    legend,
    plain_axis,
    scale,
)
from dashboard.frames.breakers import HALF_OPEN, OPEN

_ROW_PX = 30


def latency_ranges(latency: pd.DataFrame, *, is_dark: bool) -> Chart:
    """Draw a bar from the median to the 99th percentile, with a mark at the 95th.

    Args:
        latency: As `frames.reliability.latency_frame` gives it, not empty.
        is_dark: Whether the ground is dark.
    """
    order = list(latency["name"])
    milliseconds = alt.Axis(
        labelExpr="datum.value < 1000 ? datum.value + ' ms' : datum.value / 1000 + ' s'",
        tickCount=6,
        domain=False,
        ticks=False,
    )
    told = [
        alt.Tooltip("name:N", title="Provider, model"),
        *(alt.Tooltip(f"{p}:Q", title=f"{p}, ms", format=",.0f") for p in ("p50", "p95", "p99")),
        alt.Tooltip("count:Q", title="Measured", format=","),
    ]
    place = alt.Y("name:N", sort=order, title=None, axis=plain_axis())
    base = alt.Chart(latency)
    bars = base.mark_bar(
        height=_ROW_PX * 0.4, cornerRadius=3, color=colours(is_dark)[0], opacity=0.75
    ).encode(x=alt.X("p50:Q", title=None, axis=milliseconds), x2="p99:Q", y=place, tooltip=told)
    marks = base.mark_tick(thickness=3, height=_ROW_PX * 0.7, color=ink(is_dark)).encode(
        x=alt.X("p95:Q", title=None), y=place, tooltip=told
    )
    return alt.layer(bars, marks).properties(height=alt.Step(_ROW_PX))


def errors_by_class(errors: pd.DataFrame, *, is_dark: bool) -> Chart:
    """Draw failures by group, stacked by class.

    Args:
        errors: As `frames.reliability.errors_frame` gives it, not empty.
        is_dark: Whether the ground is dark.
    """
    by_class = errors.groupby("error")["count"].sum().sort_values(ascending=False)
    by_name = errors.groupby("name")["count"].sum().sort_values(ascending=False)
    classes = [str(one) for one in by_class.index]
    figure: Chart = (
        alt.Chart(errors)
        .mark_bar(height=_ROW_PX * 0.55, cornerRadius=1)
        .encode(
            x=alt.X("sum(count):Q", title=None, axis=count_axis()),
            y=alt.Y(
                "name:N",
                sort=[str(one) for one in by_name.index],
                title=None,
                axis=plain_axis(),
            ),
            color=alt.Color("error:N", scale=scale(classes, is_dark), legend=legend(2)),
            tooltip=[
                alt.Tooltip("name:N", title="Provider, model"),
                alt.Tooltip("error:N", title="Class"),
                alt.Tooltip("sum(count):Q", title="Requests", format=","),
            ],
        )
        .properties(height=alt.Step(_ROW_PX))
    )
    return figure


def breaker_periods(
    periods: pd.DataFrame, span: tuple[datetime, datetime], *, is_dark: bool
) -> Chart:
    """Draw when deployments were left alone, a line for each.

    Args:
        periods: As `frames.breakers.periods_frame` gives it, not empty.
        span: What is looked at; so wide the figure is, however short the periods are.
        is_dark: Whether the ground is dark.
    """
    known = colours(is_dark)
    states = alt.Scale(domain=[OPEN, HALF_OPEN], range=[known[5], known[4]])
    figure: Chart = (
        # Open ones are drawn last, over the rims of the others.
        alt.Chart(periods.sort_values("state"))
        # With a rim, so that a few seconds of a month can be seen.
        .mark_bar(height=_ROW_PX * 0.55, strokeWidth=2)
        .encode(
            x=alt.X(
                "start:T",
                title=None,
                scale=alt.Scale(domain=[one.isoformat() for one in span]),
                axis=alt.Axis(format="%d %b %H:%M", labelOverlap=True, ticks=False),
            ),
            x2="end:T",
            y=alt.Y("deployment:N", title=None, axis=plain_axis()),
            color=alt.Color("state:N", scale=states, legend=legend(2)),
            stroke=alt.Stroke("state:N", scale=states, legend=None),
            tooltip=[
                alt.Tooltip("deployment:N", title="Deployment"),
                alt.Tooltip("state:N", title="Breaker"),
                alt.Tooltip("start:T", title="From", format="%Y-%m-%d %H:%M:%S"),
                alt.Tooltip("end:T", title="To", format="%Y-%m-%d %H:%M:%S"),
                alt.Tooltip("seconds:Q", title="Seconds", format=",.0f"),
                alt.Tooltip("reason:N", title="Why"),
            ],
        )
        .properties(height=alt.Step(_ROW_PX))
    )
    return figure
