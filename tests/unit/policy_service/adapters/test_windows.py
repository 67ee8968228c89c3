from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from policy_service.adapters.windows import (
    MAX_COUNT,
    binding,
    epoch_ms,
    limit_count,
    month_of,
    seconds_to_next_month,
    taken_count,
)
from tests.fixtures.reservations import requests_limit, tokens_limit


def test_milliseconds_are_whole_and_rounded_down() -> None:
    assert epoch_ms(datetime(1970, 1, 1, 0, 0, 1, 999, tzinfo=UTC)) == 1000
    assert epoch_ms(datetime(2026, 11, 20, 12, 0, 0, 1999, tzinfo=UTC)) == 1_795_176_000_001


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(TypeError):
        epoch_ms(datetime(2026, 11, 20))  # noqa: DTZ001


def test_a_month_is_utc_wherever_the_clock_hangs() -> None:
    new_year_in_tokyo = datetime(2027, 1, 1, 8, 59, tzinfo=timezone(timedelta(hours=9)))
    assert month_of(new_year_in_tokyo) == "2026-12"
    assert seconds_to_next_month(new_year_in_tokyo) == 60


@pytest.mark.parametrize(
    ("at", "days"),
    [
        (datetime(2026, 2, 1, tzinfo=UTC), 28),
        (datetime(2028, 2, 1, tzinfo=UTC), 29),
        (datetime(2026, 12, 31, tzinfo=UTC), 1),
        (datetime(2026, 1, 31, tzinfo=UTC), 1),
    ],
)
def test_months_end_when_they_end(at: datetime, days: int) -> None:
    assert seconds_to_next_month(at) == days * 86_400


def test_the_smallest_of_the_same_limit_binds_in_the_place_of_the_first() -> None:
    limits = [tokens_limit(9), requests_limit(5), tokens_limit(3), requests_limit(7)]
    assert binding(limits) == (tokens_limit(3), requests_limit(5))


def test_a_limit_counts_whole_things_and_has_an_end() -> None:
    assert limit_count(Decimal("9.99")) == 9
    assert limit_count(Decimal(-1)) == 0
    assert limit_count(Decimal("1e40")) == MAX_COUNT
    assert taken_count(10**40) > limit_count(Decimal("1e40"))
