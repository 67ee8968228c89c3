from decimal import Decimal

import pytest

from policy_service.adapters.pico_usd import MAX_USD, limit_usd, micro_text, taken_usd, usd_of


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        ("0", "0.000000"),
        ("0.000000000001", "0.000001"),
        ("0.000000999999", "0.999999"),
        ("0.000001", "1.000000"),
        ("12.345678901234", "12345678.901234"),
        ("4000000000", "4000000000000000.000000"),
    ],
)
def test_money_is_micro_dollars_and_six_digits_of_pico_dollars(usd: str, text: str) -> None:
    assert micro_text(taken_usd(Decimal(usd))) == text
    assert micro_text(limit_usd(Decimal(usd))) == text
    assert usd_of(text) == Decimal(usd)


def test_whole_micro_dollars_need_no_decimals() -> None:
    assert usd_of("42") == Decimal("0.000042")


def test_a_charge_is_rounded_half_to_even_and_a_limit_down() -> None:
    assert taken_usd(Decimal("0.0000000000015")) == Decimal("0.000000000002")
    assert taken_usd(Decimal("0.0000000000025")) == Decimal("0.000000000002")
    assert limit_usd(Decimal("0.0000000000019")) == Decimal("0.000000000001")


def test_there_is_no_limit_above_the_highest_and_every_charge_above_it_exceeds_it() -> None:
    assert limit_usd(Decimal("1e30")) == MAX_USD
    assert limit_usd(Decimal(-1)) == 0
    assert taken_usd(Decimal("1e30")) > MAX_USD


@pytest.mark.parametrize("wrong", ["-0.01", "NaN"])
def test_what_is_no_charge_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="nobody can take"):
        taken_usd(Decimal(wrong))
