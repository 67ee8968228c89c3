from datetime import UTC, datetime, timedelta, timezone

from policy_service.adapters.sql.months import hour_of, month_named, month_of


def test_a_month_runs_from_its_first_moment_to_the_next_ones_in_utc():
    december = (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    assert month_of(datetime(2026, 12, 31, 23, 59, 59, 999999, UTC)) == december
    assert month_of(datetime(2026, 12, 1, tzinfo=UTC)) == december
    assert month_named("2026-12") == december
    new_york = timezone(timedelta(hours=-5))
    assert month_of(datetime(2026, 11, 30, 19, 0, tzinfo=new_york)) == december


def test_an_hour_is_a_full_one_in_utc_whatever_the_zone():
    kolkata = timezone(timedelta(hours=5, minutes=30))
    assert hour_of(datetime(2026, 1, 1, 12, 15, tzinfo=kolkata)) == datetime(
        2026, 1, 1, 6, tzinfo=UTC
    )
