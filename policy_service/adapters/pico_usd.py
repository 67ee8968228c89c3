"""USD as text that Lua in Redis can count with exactly.

Lua counts with doubles. A double holds whole numbers exactly up to 2^53, which is nine thousand
dollars in pico-dollars: not enough. So scripts count micro-dollars and the pico-dollars left over
as two whole numbers, which hold nine billion dollars exactly. As text they are one amount:
`12345678.901234` is micro-dollars, a point, and six digits of pico-dollars.
"""

from decimal import ROUND_FLOOR, Decimal

from llm_core.pricing.charge import PICO_USD, rounded

MAX_USD = Decimal(4_000_000_000)
"""No limit is higher; twice that is still exact."""

_MICRO_DIGITS = 6


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


def micro_text(usd: Decimal) -> str:
    """Micro-dollars with six decimals.

    Args:
        usd: From `limit_usd` or `taken_usd`.
    """
    return format(usd.scaleb(_MICRO_DIGITS), "f")


def usd_of(text: str) -> Decimal:
    """The USD that `micro_text` made text of; Lua leaves decimals out that are all 0."""
    return Decimal(text).scaleb(-_MICRO_DIGITS)
