from datetime import date

import pytest

from dashboard.parts.filters import Chosen, Span, days_of, period_query
from dashboard.parts.periods import months


@pytest.mark.parametrize(
    ("span", "start", "end"),
    [
        (Span.MONTH, date(2028, 2, 1), date(2028, 3, 1)),
        (Span.LAST_MONTH, date(2028, 1, 1), date(2028, 2, 1)),
        (Span.WEEK, date(2028, 2, 23), date(2028, 3, 1)),
        (Span.DAYS_30, date(2028, 1, 31), date(2028, 3, 1)),
        (Span.DAYS_90, date(2027, 12, 2), date(2028, 3, 1)),
        (Span.YEAR, date(2028, 1, 1), date(2028, 3, 1)),
        (Span.OWN, date(2028, 2, 1), date(2028, 3, 1)),
    ],
)
def test_a_period_ends_on_the_day_after_its_last(span: Span, start: date, end: date):
    """On the 29th of February, which not every year has."""
    assert days_of(span, date(2028, 2, 29)) == (start, end)


def test_the_month_before_january_is_december():
    query = period_query(Span.LAST_MONTH, date(2027, 1, 31))
    assert query == (("from", "2026-12-01"), ("to", "2027-01-01"))


def test_what_is_chosen_is_asked_for_and_untagged_is_empty():
    chosen = Chosen(
        date(2026, 11, 1),
        date(2026, 11, 3),
        {"team": ("a", "(untagged)"), "model": ("m",)},
        "Europe/Berlin",
    )
    assert chosen.query == (
        ("from", "2026-11-01"),
        ("to", "2026-11-03"),
        ("tz", "Europe/Berlin"),
        ("team", "a"),
        ("team", ""),
        ("model", "m"),
    )
    assert chosen.told == "01 Nov 2026 to 02 Nov 2026"
    assert chosen.interval == "hour"


def test_months_go_back_over_the_turn_of_the_year():
    assert months(date(2026, 2, 28), 4) == ["2026-02", "2026-01", "2025-12", "2025-11"]
