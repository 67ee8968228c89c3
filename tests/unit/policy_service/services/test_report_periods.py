"""Which week or month a report is about: by the organisation's clocks, also where they change."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_service.adapters.sql.months import month_named
from policy_service.ports.report_schedules import Cadence
from policy_service.services.report_periods import latest_due, latest_over

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/Havana",  # its clocks change at midnight
    "Pacific/Apia",  # it left out a day in 2011
]
moments = st.integers(0, 22 * 365 * 86400).map(
    lambda seconds: datetime(2008, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)
each_cadence = pytest.mark.parametrize("cadence", list(Cadence))


@each_cadence
@given(now=moments, hour=st.integers(0, 23), zone=st.sampled_from(ZONES))
def test_the_newest_due_period_is_over_whole_and_no_later_one_is_due(
    cadence: Cadence, now: datetime, hour: int, zone: str
) -> None:
    found = latest_due(cadence, hour, now, zone)
    assert found.before < found.starts_at < found.ends_at <= found.due_at <= now
    assert all(one[2] == following[1] for one, following in pairwise(found.days))
    here = found.starts_at.astimezone(ZoneInfo(zone))
    assert here.weekday() == 0 if cadence is Cadence.WEEKLY else here.day == 1
    length = 7 if cadence is Cadence.WEEKLY else None
    assert length in {None, len(found.days)}
    longest = timedelta(days=9 if cadence is Cadence.WEEKLY else 33)
    assert now - found.ends_at < longest
    over = latest_over(cadence, now, zone)
    assert over.ends_at >= found.ends_at


@given(now=moments, zone=st.sampled_from(ZONES))
def test_a_month_is_the_one_that_budgets_and_statements_have(now: datetime, zone: str) -> None:
    found = latest_over(Cadence.MONTHLY, now, zone)
    assert (found.starts_at, found.ends_at) == month_named(found.name, zone)
    assert month_named(found.name, zone)[1] <= now


def test_weeks_are_named_as_iso_8601_numbers_them() -> None:
    found = latest_due(Cadence.WEEKLY, 7, datetime(2027, 1, 4, 6, 30, tzinfo=UTC), "Europe/Berlin")
    assert found.name == "2026-W53"
    assert found.days[0][0] == "2026-12-28"
    earlier = latest_due(
        Cadence.WEEKLY, 7, datetime(2027, 1, 4, 5, 59, tzinfo=UTC), "Europe/Berlin"
    )
    assert earlier.name == "2026-W52"
    assert found.due_at == datetime(2027, 1, 4, 6, tzinfo=UTC)
