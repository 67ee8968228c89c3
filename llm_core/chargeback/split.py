"""Dividing money so that the parts are the whole, exactly."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

USD_PLACES = 12
"""The ledger's: its smallest unit is a pico-dollar."""

CENT_PLACES = 2


def split(total: Decimal, weights: Sequence[Fraction | int]) -> list[Decimal]:
    """Divide `total` in proportion to `weights`, in whole pico-dollars.

    Each part is rounded down, and what is left goes to the largest remainders, one unit each; of
    equal ones to the first. So the parts always add up to `total`.

    Args:
        total: With twelve places at most.
        weights: None below zero, and one at least above it.

    Raises:
        ValueError: The weights or the total are not so.
    """
    whole = sum(weights, Fraction(0))
    if whole <= 0 or min(weights) < 0:
        raise ValueError("weights must not be negative, and one must be above zero")
    units = _units(total, USD_PLACES)
    exact = [Fraction(units * weight, 1) / whole for weight in weights]
    return [_money(part, USD_PLACES) for part in _whole_numbers(exact, units)]


def in_cents(amounts: Sequence[Decimal]) -> list[Decimal]:
    """Round each to cents, so that together they are their sum rounded to cents.

    Each is rounded down, and the cents that are missing go to the largest remainders. The sum is
    rounded half to even.
    """
    exact = [Fraction(amount) * 100 for amount in amounts]
    return [_money(part, CENT_PLACES) for part in _whole_numbers(exact, round(sum(exact)))]


def _whole_numbers(exact: Sequence[Fraction], target: int) -> list[int]:
    parts = [part.numerator // part.denominator for part in exact]
    missing = target - sum(parts)
    by_remainder = sorted(range(len(exact)), key=lambda at: (parts[at] - exact[at], at))
    for at in by_remainder[:missing]:
        parts[at] += 1
    return parts


def _units(amount: Decimal, places: int) -> int:
    units = Fraction(amount) * 10**places
    if units.denominator != 1:
        raise ValueError(f"{amount} has more than {places} places")
    return int(units.numerator)


def _money(units: int, places: int) -> Decimal:
    # Nothing is written as 0, and not as 0E-12.
    return Decimal((int(units < 0), tuple(map(int, str(abs(units)))), -places)) if units else _ZERO


_ZERO = Decimal(0)
