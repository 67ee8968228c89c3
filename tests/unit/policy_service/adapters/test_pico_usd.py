from decimal import Decimal

import pytest

from policy_service.adapters.pico_usd import MAX_USD, joined, limit_usd, split, taken_usd


@pytest.mark.parametrize(
    ("usd", "micro", "pico"),
    [
        ("0", 0, 0),
        ("0.000000000001", 0, 1),
        ("0.000000999999", 0, 999_999),
        ("0.000001", 1, 0),
        ("12.345678901234", 12_345_678, 901_234),
        ("4000000000", 4_000_000_000_000_000, 0),
    ],
)
def test_money_is_two_whole_numbers(usd: str, micro: int, pico: int) -> None:
    assert split(Decimal(usd)) == (micro, pico)
    assert joined(micro, pico) == Decimal(usd)


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
