"""Days of UTC, less the hours taken and with those given, are the time that was asked for."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_core.costs.calendar import Interval, edges
from policy_service.adapters.sql.costs.days import Stretch, days_of
from policy_service.adapters.sql.months import day_of, hour_of

HOUR = timedelta(hours=1)
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/Los_Angeles",
    "Asia/Kathmandu",
    "Asia/Tokyo",
    "Australia/Lord_Howe",
    "Pacific/Kiritimati",
)
BEGINNING = datetime(2026, 3, 20, tzinfo=UTC)
MOMENTS = st.integers(0, 260 * 24 * 4).map(
    lambda quarters: BEGINNING + quarters * timedelta(minutes=15)
)


def hours_in(*stretches: Stretch) -> list[datetime]:
    return [
        start + count * HOUR for start, end in stretches for count in range((end - start) // HOUR)
    ]


def span_of(moment: datetime, at: Sequence[datetime]) -> int | None:
    """Which span between the edges it lies in."""
    return bisect_right(at[1:-1], moment) if at[0] <= moment < at[-1] else None


@given(
    start=MOMENTS,
    length=st.integers(1, 50 * 24 * 60),
    zone=st.sampled_from(ZONES),
    interval=st.sampled_from([Interval.NONE, Interval.DAY, Interval.MONTH]),
)
def test_every_hour_is_counted_where_it_belongs(
    start: datetime, length: int, zone: str, interval: Interval
) -> None:
    at = edges(start, start + timedelta(minutes=length), interval, ZoneInfo(zone))
    found = days_of(at)
    if found is None:
        return
    counted: Counter[tuple[datetime, int | None]] = Counter()
    for hour in hours_in((found.edges[0], found.edges[-1])):
        counted[hour, span_of(hour, found.edges)] += 1
    for hour in hours_in(*found.taken):
        counted[hour, span_of(hour, found.edges)] -= 1
    for hour in hours_in(*found.given):
        counted[hour, span_of(hour, at)] += 1
    cut = {hour_of(edge) for edge in at if hour_of(edge) != edge}
    whole = [
        hour
        for hour in hours_in((hour_of(at[0]), hour_of(at[-1])))
        if hour >= at[0] and hour not in cut
    ]
    assert +counted == Counter((hour, span_of(hour, at)) for hour in whole)
    assert min(counted.values(), default=0) >= 0
    assert all(edge == day_of(edge) for edge in found.edges)


def test_a_month_of_berlin_is_thirty_days_and_an_hour_of_each() -> None:
    zone = ZoneInfo("Europe/Berlin")
    start, end = (datetime(2026, month, 1, tzinfo=zone).astimezone(UTC) for month in (11, 12))
    found = days_of(edges(start, end, Interval.DAY, zone))
    assert found is not None
    assert len(hours_in((found.edges[0], found.edges[-1]))) == 30 * 24
    # The last hour of each day is the next day's, and those at the ends are not of this month, or
    # only of it.
    assert (len(hours_in(*found.taken)), len(hours_in(*found.given))) == (30, 30)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_whole_days_of_utc_change_nothing(zone: str) -> None:
    at = [datetime(2026, 11, day, tzinfo=UTC) for day in (1, 8, 20)]
    found = days_of([moment.astimezone(ZoneInfo(zone)) for moment in at])
    assert found is not None
    assert (list(found.edges), found.taken, found.given) == (at, (), ())


@pytest.mark.parametrize("hours", [1, 24, 28])
def test_a_short_time_is_read_hour_by_hour(hours: int) -> None:
    start = datetime(2026, 11, 3, 7, tzinfo=UTC)
    assert days_of([start, start + hours * HOUR]) is None
