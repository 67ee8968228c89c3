"""An hour is out of the ordinary for its weekday and hour, months' ends considered."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_core.alerts.anomaly import AnomalyRules, Verdict, compared_with, judged

RULES = AnomalyRules(weeks=6, floor_usd=Decimal(25), times=Decimal(3), deviations=Decimal(6))
BERLIN = ZoneInfo("Europe/Berlin")
WEDNESDAY = datetime(2026, 11, 18, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


def spend(hour: datetime) -> Decimal:
    """Busy on workdays from 8 to 18, next to nothing else, and a burst at each month's end."""
    usual = Decimal(40) if hour.weekday() < 5 and 8 <= hour.hour < 18 else Decimal(1)
    return usual * 20 if (hour + timedelta(days=1)).day == 1 else usual


def verdict(hour: datetime, usd: Decimal | int) -> Verdict:
    compared = compared_with(hour, UTC, RULES.weeks)
    return judged(Decimal(usd), {one: spend(one) for one in compared.hours}, compared, RULES)


@pytest.mark.parametrize("days", range(0, 100, 7))
def test_no_hour_of_a_regular_company_is_an_anomaly(days: int) -> None:
    start = datetime(2026, 8, 1, tzinfo=UTC) + timedelta(days=days)
    for hour in (start + n * HOUR for n in range(7 * 24)):
        assert not verdict(hour, spend(hour)).is_anomaly, hour


def test_a_workdays_spend_is_one_at_night_and_on_sundays() -> None:
    assert not verdict(WEDNESDAY, 100).is_anomaly
    assert verdict(WEDNESDAY, 121).is_anomaly
    assert verdict(WEDNESDAY.replace(hour=3), 40).is_anomaly
    assert verdict(WEDNESDAY.replace(day=22), 40).is_anomaly


def test_a_burst_is_ordinary_at_the_months_end_only() -> None:
    assert not verdict(datetime(2026, 11, 30, 10, tzinfo=UTC), 800).is_anomaly
    assert verdict(datetime(2026, 11, 23, 10, tzinfo=UTC), 800).is_anomaly


def test_the_floor_is_never_an_anomaly() -> None:
    assert not verdict(WEDNESDAY.replace(hour=3), 25).is_anomaly


def test_one_odd_week_moves_nothing() -> None:
    compared = compared_with(WEDNESDAY, ZoneInfo("UTC"), RULES.weeks)
    by_hour = {one: spend(one) for one in compared.hours} | {compared.weekly[0]: Decimal(10_000)}
    found = judged(Decimal(121), by_hour, compared, RULES)
    assert (found.expected_usd, found.is_anomaly) == (Decimal(40), True)


def test_weeks_are_counted_by_the_clock_on_the_wall() -> None:
    after = datetime(2026, 10, 28, 9, tzinfo=BERLIN).astimezone(UTC)
    compared = compared_with(after, BERLIN, 4)
    assert {one.astimezone(BERLIN).hour for one in compared.weekly} == {9}
    assert [one.astimezone(BERLIN).day for one in compared.weekly] == [21, 14, 7, 23]
    assert compared.monthly == ()  # 30 September is a month's end, and left out


def test_a_months_end_is_held_against_the_ends_of_the_months_before() -> None:
    compared = compared_with(datetime(2026, 2, 28, 10, tzinfo=UTC), ZoneInfo("UTC"), 6)
    assert [(one.month, one.day) for one in compared.monthly] == [(1, 31), (12, 31), (11, 30)]
    first = compared_with(datetime(2026, 2, 1, 10, tzinfo=UTC), ZoneInfo("UTC"), 6)
    assert [(one.month, one.day) for one in first.monthly] == [(1, 1), (12, 1), (11, 1)]


@given(
    hours=st.integers(0, 6 * 366 * 24),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kolkata"]),
    weeks=st.integers(4, 8),
)
def test_what_is_compared_lies_before_and_is_as_many_full_hours(
    hours: int, zone: str, weeks: int
) -> None:
    hour = datetime(2024, 1, 1, tzinfo=UTC) + hours * HOUR
    compared = compared_with(hour, ZoneInfo(zone), weeks)
    assert len(compared.weekly) == weeks
    assert all(one < hour and (one.minute, one.second) == (0, 0) for one in compared.hours)
