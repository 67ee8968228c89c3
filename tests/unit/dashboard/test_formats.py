from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import formats
from dashboard.formats import Currency

USD = Currency()
EUR = Currency("EUR", Decimal("0.92"))


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
    assert USD.text(Decimal(amount)) == text


def test_no_amount_is_a_dash():
    assert USD.text(None) == "\N{EN DASH}"
    assert USD.change(None) == "\N{EN DASH}"


def test_another_currency_is_the_amount_times_the_rate():
    assert EUR.text(Decimal(100)) == "€92.00"
    assert Currency("SEK", Decimal(10)).text(Decimal("1.5")) == "SEK 15.00"
    assert EUR.change(Decimal(100)) == "+€92.00"
    assert EUR.change(Decimal(-100)) == "-€92.00"


@given(
    st.integers(-(10**33), 10**33).map(lambda amount: amount * Decimal("0.000000000001")),
    st.decimals("0.0001", "10000", places=6),
)
def test_what_is_written_is_within_half_a_cent_of_the_exact_amount(usd: Decimal, rate: Decimal):
    currency = Currency("EUR", rate)
    written = currency.text(usd).replace("€", "").replace(",", "")
    with_care = formats._WIDE
    exact = with_care.multiply(usd, rate)
    assert abs(with_care.subtract(Decimal(written), exact)) <= Decimal("0.005")


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


def test_months_shares_and_durations_are_written_out():
    assert formats.month_text("2026-11") == "November 2026"
    assert formats.percent_text(Decimal("1.014")) == "101%"
    assert formats.percent_text(None) == formats.NOTHING
    assert formats.duration_text(812.4) == "812 ms"
    assert formats.duration_text(1240) == "1.24 s"
    assert formats.duration_text(None) == formats.NOTHING


def test_moments_are_written_where_they_are_read():
    at = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert formats.time_text(at, "Europe/Berlin") == "2026-03-29 03:30"
    assert formats.time_text(at, "No/Where") == "2026-03-29 01:30"
    assert formats.time_text(None) == formats.NOTHING


@pytest.mark.parametrize(
    ("measure", "amount", "text", "named"),
    [
        ("usd_per_month", "400", "€368.00", "USD per month"),
        ("tokens_per_minute", "90000", "90,000", "Tokens per minute"),
        ("requests_per_minute", "1.5", "1.5", "Requests per minute"),
    ],
)
def test_a_limit_is_written_in_its_own_unit(measure: str, amount: str, text: str, named: str):
    assert formats.unit_text(measure, Decimal(amount), EUR) == text
    assert formats.measure_text(measure) == named


def test_marks_of_markdown_are_shown_as_they_are():
    assert formats.plain_text("a_b *c* [d](e)\n$1") == r"a\_b \*c\* \[d\]\(e\) \$1"


def test_what_has_no_value_is_untagged():
    assert formats.key_text(None) == formats.key_text("") == "(untagged)"
    assert formats.key_text("4711") == "4711"


def test_of_a_count_only_the_kinds_that_there_were_are_told():
    assert formats.parts_text(1200, audio=0, images=0) == "1,200"
    assert formats.parts_text(1200, audio=0, images=300) == "1,200, of which 300 of images"
    both = "1,200, of which 1,000 of audio and 20 of images"
    assert formats.parts_text(1200, audio=1000, images=20) == both
