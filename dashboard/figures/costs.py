"""Spend as figures."""

from collections.abc import Mapping
from decimal import Decimal

import altair as alt
import pandas as pd  # type: ignore[import-untyped] # its stubs are a package of their own

from dashboard.api.costs import Forecast
from dashboard.figures.palette import (
    OTHER_COLOUR,
    Chart,
    colours,
    ink,
    legend,
    money_axis,
)
from dashboard.formats import Currency

_HEIGHT_PX = 300
_BAR_PX = 26
_TIME_FORMATS: Mapping[str, str] = {"hour": "%d %b %H:00", "day": "%d %b", "month": "%b %Y"}


def stacked_trend(
    trend: pd.DataFrame, currency: Currency, *, interval: str, is_dark: bool
) -> Chart:
    """Draw spend over time, stacked by group.

    Args:
        trend: As `frames.costs.trend_frame` gives it, not empty.
        currency: What amounts are shown in.
        interval: `hour`, `day` or `month`.
        is_dark: Whether the ground is dark.
    """
    bars = _drawn(trend, currency)
    written = _TIME_FORMATS[interval]
    unit = {"hour": "yearmonthdatehours", "day": "yearmonthdate", "month": "yearmonth"}[interval]
    figure: Chart = (
        alt.Chart(bars)
        .mark_bar()
        .encode(
            x=alt.X(
                f"{unit}(start):T",
                title=None,
                axis=alt.Axis(
                    format=written, labelOverlap=True, labelBound=True, ticks=False, grid=False
                ),
            ),
            y=alt.Y("sum(amount):Q", title=None, axis=money_axis(currency)),
            color=alt.Color(
                "name:N",
                scale=alt.Scale(range=[*colours(is_dark), OTHER_COLOUR]),
                sort=alt.EncodingSortField("rank", op="min"),
                legend=legend(),
            ),
            order=alt.Order("rank:Q"),
            tooltip=[
                alt.Tooltip("start:T", title="From", format=f"%Y {written}"),
                alt.Tooltip("name:N", title="Group"),
                alt.Tooltip("text:N", title="Spent"),
            ],
        )
        .properties(height=_HEIGHT_PX, usermeta={"embedOptions": {"renderer": "canvas"}})
    )
    return figure


def month_course(
    running: pd.DataFrame,
    before: pd.DataFrame,
    currency: Currency,
    *,
    budget_usd: Decimal | None,
    forecast: Forecast | None,
    days: int,
    is_dark: bool,
) -> Chart:
    """Draw what the month has come to day by day, beside last month, the budget and the forecast.

    Args:
        running: As `frames.costs.running_frame` gives it, of this month, not empty.
        before: Of last month.
        currency: What amounts are shown in.
        budget_usd: The month's budget, if there is one.
        forecast: The month's end with its band, if it can be told.
        days: How many the month has.
        is_dark: Whether the ground is dark.
    """
    x_day = alt.X(
        "day:Q",
        title=None,
        scale=alt.Scale(domain=[1, days]),
        axis=alt.Axis(tickMinStep=1, tickCount=10, format="d", grid=False, ticks=False),
    )
    y_money = alt.Y("amount:Q", title=None, axis=money_axis(currency))
    names = ["This month", "Last month", "Forecast", "Budget"]
    given = [colours(is_dark)[0], OTHER_COLOUR, colours(is_dark)[1], ink(is_dark)]
    lines = [
        _course(running, "This month", currency),
        _course(before[before["day"] <= days], "Last month", currency),
    ]
    last_day, last = int(running["day"].iloc[-1]), running["usd"].iloc[-1]
    layers: list[alt.Chart] = []
    if forecast is not None and last_day < days:
        band = pd.DataFrame(
            {
                "day": [last_day, days],
                "low": [currency.drawn(last), currency.drawn(forecast.low_usd)],
                "high": [currency.drawn(last), currency.drawn(forecast.high_usd)],
            }
        )
        layers.append(
            alt.Chart(band)
            .mark_area(opacity=0.2, color=given[2])
            .encode(x=x_day, y=alt.Y("low:Q", title=None, axis=money_axis(currency)), y2="high:Q")
        )
        ahead = pd.DataFrame({"day": [last_day, days], "usd": [last, forecast.usd]})
        lines.append(_course(ahead, "Forecast", currency))
    if budget_usd is not None:
        cap = pd.DataFrame({"day": [1, days], "usd": [budget_usd, budget_usd]})
        lines.append(_course(cap, "Budget", currency))
    drawn = pd.concat([line for line in lines if len(line)])
    layers.append(
        alt.Chart(drawn)
        .mark_line(interpolate="linear")
        .encode(
            x=x_day,
            y=y_money,
            color=alt.Color(
                "name:N", scale=alt.Scale(domain=names, range=given), sort=names, legend=legend()
            ),
            strokeDash=alt.StrokeDash(
                "name:N",
                scale=alt.Scale(domain=names, range=[[1, 0], [1, 0], [6, 4], [2, 3]]),
                legend=None,
            ),
            strokeWidth=alt.StrokeWidth(
                "name:N", scale=alt.Scale(domain=names, range=[3, 1.5, 2, 1.5]), legend=None
            ),
            tooltip=[
                alt.Tooltip("name:N", title="What"),
                alt.Tooltip("day:Q", title="Day"),
                alt.Tooltip("text:N", title="Up to then"),
            ],
        )
    )
    return alt.layer(*layers).properties(height=_HEIGHT_PX)


def _course(frame: pd.DataFrame, name: str, currency: Currency) -> pd.DataFrame:
    return _drawn(frame, currency).assign(name=name)


def _drawn(frame: pd.DataFrame, currency: Currency) -> pd.DataFrame:
    """The frame with `amount`, a length, and `text`, the amount as it is written."""
    drawn = frame.drop(columns=[name for name in frame if str(name).startswith("usd_per")])
    drawn = drawn.assign(
        amount=[currency.drawn(usd) for usd in frame["usd"]],
        text=[currency.text(usd) for usd in frame["usd"]],
    )
    return drawn.drop(columns="usd")
