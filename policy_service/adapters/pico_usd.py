"""USD as two whole numbers, because Lua in Redis counts with doubles.

A double holds whole numbers exactly up to 2^53, which is nine thousand dollars in pico-dollars: not
enough. Micro-dollars and the pico-dollars that are left over hold nine billion, exactly.
"""

from decimal import ROUND_FLOOR, Decimal

from llm_core.pricing.charge import PICO_USD, rounded

PICO_PER_MICRO = 1_000_000
MAX_USD = Decimal(4_000_000_000)
"""No limit is higher; twice that is still exact."""

_PICO_DIGITS = 12


def limit_usd(amount: Decimal) -> Decimal:
    """A limit's amount as counters see it: to the pico-dollar, rounded down, `MAX_USD` at most."""
    return min(max(amount, Decimal(0)), MAX_USD).quantize(PICO_USD, rounding=ROUND_FLOOR)


def taken_usd(usd: Decimal) -> Decimal:
    """What a call takes, to the pico-dollar; more than `MAX_USD` stays more than any limit.

    Raises:
        ValueError: The amount is negative, or no number.
    """
    if usd.is_nan() or usd < 0:
        raise ValueError(f"nobody can take {usd} USD")
    return rounded(min(usd, MAX_USD + PICO_USD))


def split(usd: Decimal) -> tuple[int, int]:
    """Micro-dollars, and the pico-dollars left over (0 to 999,999).

    Args:
        usd: From `limit_usd` or `taken_usd`.
    """
    return divmod(int(usd.scaleb(_PICO_DIGITS)), PICO_PER_MICRO)


def joined(micro: int, pico: int) -> Decimal:
    """The USD that `split` took apart."""
    return Decimal(micro * PICO_PER_MICRO + pico).scaleb(-_PICO_DIGITS)
