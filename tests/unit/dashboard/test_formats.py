from decimal import Decimal

import pytest

from dashboard import formats


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "$0.00"),
        ("1234567.891", "$1,234,567.89"),
        ("1", "$1.00"),
        ("0.25", "$0.25"),
        ("0.5", "$0.50"),
        ("0.0132", "$0.0132"),
        ("0.00043172", "$0.000432"),
        ("0.000000000001", "$0.000000000001"),
        ("0.9999", "$1.00"),
        ("-3.5", "-$3.50"),
    ],
)
def test_money_has_cents_and_tiny_amounts_three_digits(amount: str, text: str):
    assert formats.usd_text(Decimal(amount)) == text


def test_no_amount_is_a_dash():
    assert formats.usd_text(None) == "\N{EN DASH}"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (9999, "9,999"),
        (12345, "12.3 k"),
        (4_560_000, "4.6 M"),
        (1_900_000_000, "1.9 B"),
    ],
)
def test_large_counts_are_short(count: int, text: str):
    assert formats.short_count_text(count) == text


def test_months_and_shares_are_written_out():
    assert formats.month_text("2026-11") == "November 2026"
    assert formats.percent_text(Decimal("1.014")) == "101%"
