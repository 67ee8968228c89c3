"""Figures are valid, and their colours mean the same in both themes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd  # type: ignore[import-untyped]
import pytest

from dashboard.api.costs import CostRow, Forecast
from dashboard.api.reliability import BreakerStep, ReliabilityRow, Spread
from dashboard.api.usage import HourRow
from dashboard.figures import costs, palette, reliability, usage
from dashboard.formats import Currency
from dashboard.frames import breakers as breaker_frames
from dashboard.frames import costs as cost_frames
from dashboard.frames import reliability as reliability_frames
from dashboard.frames import usage as usage_frames

EUR = Currency("EUR", Decimal("0.5"))
ROWS = [
    CostRow(
        requests=1,
        usd=Decimal(place + 1),
        keys={"team": f"t{place}"},
        start=datetime(2026, 11, day, tzinfo=UTC),
    )
    for day in (1, 2)
    for place in range(8)
]


def _drawn(chart: palette.Chart) -> dict[str, Any]:
    """As the browser gets it; altair checks it against the schema."""
    document: dict[str, Any] = chart.to_dict()
    return document


@pytest.mark.parametrize("is_dark", [False, True])
def test_the_trend_names_the_dearest_and_sums_the_rest_in_grey(is_dark: bool):
    trend = cost_frames.trend_frame(ROWS, "team", "UTC")
    chart = _drawn(costs.stacked_trend(trend, EUR, interval="day", is_dark=is_dark))
    # Names get their colours in the order of their rank.
    colour = chart["encoding"]["color"]
    assert colour["sort"] == {"field": "rank", "op": "min"}
    assert colour["scale"] == {"range": [*palette.colours(is_dark), palette.OTHER_COLOUR]}
    [rows] = chart["datasets"].values()
    assert {row["name"]: row["rank"] for row in rows} == {
        **{f"t{7 - rank}": rank for rank in range(6)},
        cost_frames.OTHER: 6,
    }
    assert {row["text"] for row in rows if row["name"] == "t7"} == {"€4.00"}
    assert {row["amount"] for row in rows if row["name"] == "t7"} == {4.0}


def test_the_trend_of_other_groups_and_days_is_the_same_figure_of_other_rows():
    """So the browser, which has drawn one, only puts the rows in place of those."""
    figures = [
        _drawn(
            costs.stacked_trend(
                cost_frames.trend_frame(rows, "team", "UTC"), EUR, interval="day", is_dark=False
            )
        )
        for rows in (ROWS, ROWS[2:5])
    ]
    for one in figures:
        del one["datasets"], one["data"]
    assert figures[0] == figures[1]


@pytest.mark.parametrize("interval", ["hour", "day", "month"])
def test_every_interval_can_be_drawn(interval: str):
    trend = cost_frames.trend_frame(ROWS, "team", "UTC")
    assert _drawn(costs.stacked_trend(trend, EUR, interval=interval, is_dark=False))


@pytest.mark.parametrize("forecast", [None, Forecast(Decimal(90), Decimal(80), Decimal(99))])
@pytest.mark.parametrize("budget", [None, Decimal(100)])
def test_the_course_draws_what_is_known(forecast: Forecast | None, budget: Decimal | None):
    running = cost_frames.running_frame(ROWS, "UTC")
    chart = _drawn(
        costs.month_course(
            running,
            running.head(0),
            EUR,
            budget_usd=budget,
            forecast=forecast,
            days=30,
            is_dark=True,
        )
    )
    drawn = {row["name"] for rows in chart["datasets"].values() for row in rows if "name" in row}
    expected = {"This month"}
    expected |= set() if forecast is None else {"Forecast"}
    expected |= set() if budget is None else {"Budget"}
    assert drawn == expected


def test_usage_can_be_drawn():
    days = usage_frames.days_frame(ROWS, "UTC")
    assert _drawn(usage.requests_line(days, is_dark=False))
    assert _drawn(usage.tokens_by_bucket(usage_frames.buckets_frame(ROWS, "UTC"), is_dark=True))
    heat = usage_frames.heat_frame([HourRow(0, 9, 3, 9, Decimal(1))])
    assert len(next(iter(_drawn(usage.heat_map(heat, is_dark=True))["datasets"].values()))) == 168
    lines = pd.DataFrame({"start": [datetime(2026, 11, 1)], "kind": ["x"], "rate": [0.5]})  # noqa: DTZ001
    for as_percent in (False, True):
        assert _drawn(
            usage.lines(
                lines, ["x"], kind="kind", value="rate", is_dark=False, as_percent=as_percent
            )
        )
    mix = usage_frames.mix_frame(ROWS[:8], "team")
    assert _drawn(usage.counted_bars(mix, name="name", is_dark=False))


@pytest.mark.parametrize("is_dark", [False, True])
def test_a_bucket_has_its_colour_whichever_others_there_are(is_dark: bool):
    def coloured(row: CostRow) -> dict[str, str]:
        frame = usage_frames.buckets_frame([row], "UTC")
        scale = _drawn(usage.tokens_by_bucket(frame, is_dark=is_dark))["encoding"]["color"]["scale"]
        return dict(zip(scale["domain"], scale["range"], strict=True))

    text = CostRow(input_tokens=9, output_tokens=9, start=ROWS[0].start)
    some = replace(text, input_audio_tokens=1, input_image_tokens=2, output_audio_tokens=3)
    few, all_of_them = coloured(text), coloured(some)
    assert (*few,) == ("Input", "Cached input", "Cache write", "Output", "Reasoning")
    assert (*all_of_them,) == usage_frames.BUCKETS
    assert few.items() <= all_of_them.items()
    assert len(set(all_of_them.values())) == len(usage_frames.BUCKETS)


def test_times_without_calls_can_be_drawn():
    at = datetime(2026, 11, 20, 12, tzinfo=UTC)
    until = at + timedelta(seconds=5)
    step = BreakerStep(at, "d", "openai", "m", "closed", "open", "retry_after", "", until)
    periods = breaker_frames.periods_frame([step], (at, at + timedelta(minutes=1)), "UTC")
    chart = _drawn(reliability.breaker_periods(periods, (at, until), is_dark=True))
    [rows] = chart["datasets"].values()
    assert [row["state"] for row in rows] == ["half-open", "open"]


def test_reliability_can_be_drawn():
    rows = [
        ReliabilityRow(
            requests=3,
            errors={"timeout": 1, "rate_limited": 2},
            total_ms=Spread(3, 2, 1, 5, 9),
            keys={"provider": "openai"},
        )
    ]
    latency = reliability_frames.latency_frame(rows, "total_ms")
    assert _drawn(reliability.latency_ranges(latency, is_dark=True))
    errors = _drawn(
        reliability.errors_by_class(reliability_frames.errors_frame(rows), is_dark=False)
    )
    assert errors["encoding"]["color"]["scale"]["domain"] == ["rate_limited", "timeout"]


def test_no_two_groups_have_the_same_colour():
    for is_dark in (False, True):
        assert len({*palette.colours(is_dark), palette.OTHER_COLOUR}) == 7
