"""When days, months and sliding windows begin and end."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_core.policy.limits import Period
from policy_service.periods import SLIDING, Span, calendar_span, sliding_start

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")
CALENDAR = (Period.DAY, Period.MONTH)
MOMENTS = st.floats(1.5e9, 2.2e9).map(lambda at_s: datetime.fromtimestamp(at_s, UTC))


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


def test_a_month_begins_where_the_organisations_clocks_say_so() -> None:
    late = utc(2026, 11, 30, 23, 30)

    assert calendar_span(Period.MONTH, late).label == "2026-11"
    assert calendar_span(Period.MONTH, late, "Asia/Kolkata") == Span(
        "2026-12@Asia/Kolkata", utc(2026, 11, 30, 18, 30), utc(2026, 12, 31, 18, 30)
    )


@pytest.mark.parametrize(
    ("day", "hours"), [(utc(2026, 3, 29, 12), 23), (utc(2026, 10, 25, 12), 25)]
)
def test_a_day_on_which_the_clocks_change_is_an_hour_shorter_or_longer(
    day: datetime, hours: int
) -> None:
    span = calendar_span(Period.DAY, day, "Europe/Berlin")

    assert span.ends_at - span.starts_at == timedelta(hours=hours)


@given(MOMENTS, st.sampled_from(CALENDAR), st.sampled_from(ZONES))
def test_periods_follow_one_another_without_a_gap(now: datetime, period: Period, zone: str) -> None:
    span = calendar_span(period, now, zone)

    assert span.starts_at <= now < span.ends_at
    assert calendar_span(period, span.starts_at, zone) == span
    assert calendar_span(period, span.ends_at, zone).starts_at == span.ends_at
    assert calendar_span(period, span.ends_at - timedelta(microseconds=1), zone) == span
    assert span.starts_at.astimezone(ZoneInfo(zone)).hour == 0


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../../etc/passwd", "x" * 500])
def test_a_zone_that_does_not_exist_is_named_in_the_error(zone: str) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        calendar_span(Period.DAY, utc(2026, 1, 1), zone)


def test_a_minute_is_no_period_of_the_calendar() -> None:
    with pytest.raises(ValueError, match="calendar"):
        calendar_span(Period.MINUTE, utc(2026, 1, 1))


@given(MOMENTS, st.sampled_from(list(SLIDING)))
def test_a_sliding_period_reaches_back_its_window_and_a_bucket_at_most(
    now: datetime, period: Period
) -> None:
    kept = SLIDING[period]
    start = sliding_start(period, now)

    assert start.timestamp() % kept.bucket_s == 0
    assert timedelta(seconds=kept.window_s) <= now - start
    assert now - start < timedelta(seconds=kept.window_s + kept.bucket_s + 1)
