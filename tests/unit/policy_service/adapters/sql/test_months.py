from datetime import UTC, datetime, timedelta, timezone

from policy_service.adapters.sql.months import (
    full_hours,
    hour_of,
    month_named,
    month_of,
    months_before,
    months_from,
)

DECEMBER = (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


def test_a_month_runs_from_its_first_moment_to_the_next_ones_in_utc():
    assert month_of(datetime(2026, 12, 31, 23, 59, 59, 999999, UTC)) == DECEMBER
    assert month_of(datetime(2026, 12, 1, tzinfo=UTC)) == DECEMBER
    assert month_named("2026-12") == DECEMBER
    new_york = timezone(timedelta(hours=-5))
    assert month_of(datetime(2026, 11, 30, 19, 0, tzinfo=new_york)) == DECEMBER


def test_an_hour_is_a_full_one_in_utc_whatever_the_zone():
    kolkata = timezone(timedelta(hours=5, minutes=30))
    assert hour_of(datetime(2026, 1, 1, 12, 15, tzinfo=kolkata)) == datetime(
        2026, 1, 1, 6, tzinfo=UTC
    )


def test_a_named_month_begins_where_the_clocks_of_a_zone_say_so():
    assert month_named("2026-12", "Asia/Kolkata") == (
        datetime(2026, 11, 30, 18, 30, tzinfo=UTC),
        datetime(2026, 12, 31, 18, 30, tzinfo=UTC),
    )


def test_months_follow_one_another_over_new_year():
    late = datetime(2026, 11, 30, 23, tzinfo=UTC)
    firsts = [first for first, _ in months_from(late, 3)]
    assert firsts == [datetime(2026, 11, 1, tzinfo=UTC), *DECEMBER]
    assert months_before(datetime(2027, 1, 31, tzinfo=UTC), 2) == firsts[0]
    assert months_before(late, 0) == firsts[0]


def test_full_hours_lie_within_and_leave_less_than_an_hour_at_each_edge():
    start, end = datetime(2026, 1, 1, 1, 45, tzinfo=UTC), datetime(2026, 1, 1, 4, 15, tzinfo=UTC)
    two, four = start.replace(hour=2, minute=0), end.replace(minute=0)
    assert full_hours(start, end) == (two, four)
    assert full_hours(two, four) == (two, four)
    assert full_hours(two, end) == (two, four)
    assert full_hours(start, start + timedelta(minutes=10)) == (start, start)
    assert full_hours(start, two) == (two, two)
