"""Days and months across changes of the clocks and ends of months."""

import itertools
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_core.costs.calendar import (
    Interval,
    a_month_before,
    day_start,
    days_before,
    edges,
    last_month,
    next_month,
)

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe")
MOMENTS = st.floats(1.5e9, 2.2e9).map(lambda at_s: datetime.fromtimestamp(at_s, UTC))


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("zone", "day", "start"),
    [
        ("Europe/Berlin", date(2026, 3, 30), utc(2026, 3, 29, 22)),
        # Midnight was left out: the day began at 01:00.
        ("America/Sao_Paulo", date(2018, 11, 4), utc(2018, 11, 4, 3)),
        # Midnight came twice: the day begins with the first.
        ("America/Havana", date(2026, 11, 1), utc(2026, 11, 1, 4)),
        ("Asia/Kathmandu", date(2026, 11, 1), utc(2026, 10, 31, 18, 15)),
    ],
)
def test_a_day_begins_at_the_first_moment_that_bears_its_date(
    zone: str, day: date, start: datetime
) -> None:
    assert day_start(day, ZoneInfo(zone)) == start
    before = (start - timedelta(microseconds=1)).astimezone(ZoneInfo(zone))
    assert before.date() == day - timedelta(days=1)


def test_days_around_a_change_of_the_clocks_have_23_and_25_hours() -> None:
    spring = edges(utc(2026, 3, 27, 23), utc(2026, 3, 30, 22), Interval.DAY, BERLIN)
    autumn = edges(utc(2026, 10, 23, 22), utc(2026, 10, 26, 23), Interval.DAY, BERLIN)
    assert [_hours(one) for one in (spring, autumn)] == [[24, 23, 24], [24, 25, 24]]


def test_a_time_begins_and_ends_where_it_was_said_to() -> None:
    start, end = utc(2026, 1, 31, 10, 17), utc(2026, 3, 1, 9, 30)
    assert edges(start, end, Interval.NONE, BERLIN) == [start, end]
    assert edges(start, end, Interval.MONTH, BERLIN) == [
        start,
        utc(2026, 1, 31, 23),
        utc(2026, 2, 28, 23),
        end,
    ]
    assert edges(start, start + timedelta(hours=2), Interval.HOUR, BERLIN) == [
        start,
        utc(2026, 1, 31, 11),
        utc(2026, 1, 31, 12),
        utc(2026, 1, 31, 12, 17),
    ]


@given(
    start=MOMENTS,
    days=st.integers(1, 90),
    interval=st.sampled_from([Interval.DAY, Interval.MONTH]),
    zone=st.sampled_from(ZONES),
)
def test_every_moment_lies_in_the_span_of_its_date(
    start: datetime, days: int, interval: Interval, zone: str
) -> None:
    here = ZoneInfo(zone)
    found = edges(start, start + timedelta(days=days), interval, here)
    assert found == sorted(set(found))
    pattern = "%Y-%m-%d" if interval is Interval.DAY else "%Y-%m"
    names = []
    for first, after in itertools.pairwise(found):
        last = after - timedelta(microseconds=1)
        names.append(f"{first.astimezone(here):{pattern}}")
        assert names[-1] == f"{last.astimezone(here):{pattern}}"
    assert len(set(names)) == len(names)


def test_months_before_and_after() -> None:
    assert (last_month(date(2026, 1, 31)), next_month(date(2026, 12, 31))) == (
        date(2025, 12, 1),
        date(2027, 1, 1),
    )


@pytest.mark.parametrize(
    ("moment", "before"),
    [
        (utc(2026, 11, 20, 12), utc(2026, 10, 20, 11)),  # summer time then: the same time of day
        (utc(2026, 3, 31, 10), utc(2026, 2, 28, 23)),  # February has no 31st: its end
    ],
)
def test_a_month_before_is_the_same_day_and_time(moment: datetime, before: datetime) -> None:
    assert a_month_before(moment, BERLIN) == before


def test_a_week_before_is_the_same_time_of_the_day() -> None:
    assert days_before(utc(2026, 10, 28, 12), 7, BERLIN) == utc(2026, 10, 21, 11)


def _hours(found: list[datetime]) -> list[float]:
    return [(after - first) / timedelta(hours=1) for first, after in itertools.pairwise(found)]
