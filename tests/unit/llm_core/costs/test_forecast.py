"""What a month will come to."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_core.costs.forecast import burn_per_day, month_end

TODAY = date(2026, 11, 16)  # a Monday
LAST = date(2026, 11, 30)


def weekly(weekday_usd: int, weekend_usd: int, days: int = 56) -> dict[date, Decimal]:
    """A company that works on weekdays."""
    past = (TODAY - timedelta(days=back) for back in range(1, days + 1))
    return {day: Decimal(weekend_usd if day.weekday() > 4 else weekday_usd) for day in past}


def test_weekends_to_come_cost_what_weekends_cost() -> None:
    found = month_end(Decimal(1000), weekly(100, 10), TODAY, LAST, share_of_today_left=0.5)
    assert found is not None
    # Half a Monday, ten weekdays, four days of weekends.
    assert found.usd == Decimal(1000 + 50 + 10 * 100 + 4 * 10)
    assert (found.low_usd, found.high_usd) == (found.usd, found.usd)
    assert found.method == "weekday_median"


def test_one_wild_day_moves_nothing() -> None:
    calm, wild = weekly(100, 10), weekly(100, 10)
    wild[TODAY - timedelta(days=3)] = Decimal(50_000)
    both = [month_end(Decimal(0), one, TODAY, LAST, 1.0) for one in (calm, wild)]
    assert both[0] is not None
    assert both[0] == both[1]


def test_growth_of_the_last_weeks_is_followed() -> None:
    history = weekly(100, 10)
    for back in range(1, 15):
        history[TODAY - timedelta(days=back)] *= 2
    found = month_end(Decimal(0), history, TODAY, LAST, 1.0)
    assert found is not None
    assert found.usd == 2 * (11 * 100 + 4 * 10)


def test_days_that_differ_widen_the_band() -> None:
    history = {
        day: usd * (Decimal("1.3") if day.day % 2 else Decimal("0.7"))
        for day, usd in weekly(100, 100).items()
    }
    found = month_end(Decimal(100), history, TODAY, LAST, 1.0)
    assert found is not None
    assert Decimal(100) <= found.low_usd < found.usd < found.high_usd


def test_a_short_history_is_taken_day_by_day() -> None:
    found = month_end(Decimal(30), weekly(10, 10, days=5), TODAY, LAST, 1.0)
    assert found is not None
    assert (found.usd, found.method) == (Decimal(180), "daily_median")


@pytest.mark.parametrize("days", [0, 1, 2])
def test_nothing_is_foretold_from_two_days(days: int) -> None:
    assert month_end(Decimal(30), weekly(10, 10, days=days), TODAY, LAST, 1.0) is None


def test_at_the_months_end_there_is_nothing_to_come() -> None:
    found = month_end(Decimal(500), weekly(100, 10), LAST, LAST, 0.0)
    assert found is not None
    assert found.usd == found.low_usd == found.high_usd == Decimal(500)


@given(
    spends=st.lists(st.decimals(0, 10**6, places=6), min_size=3, max_size=70),
    spent=st.decimals(0, 10**7, places=6),
    left=st.floats(0, 1),
)
def test_a_forecast_lies_in_its_band_and_not_below_what_is_spent(
    spends: list[Decimal], spent: Decimal, left: float
) -> None:
    history = {TODAY - timedelta(days=back): usd for back, usd in enumerate(spends, start=1)}
    found = month_end(spent, history, TODAY, LAST, left)
    if found is not None:
        assert spent - Decimal("0.01") <= found.low_usd <= found.usd <= found.high_usd


def test_the_burn_is_the_mean_of_the_last_seven_days() -> None:
    assert burn_per_day(weekly(100, 10), TODAY) == Decimal("74.29")
    assert burn_per_day({}, TODAY) == 0
