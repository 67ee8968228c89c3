"""Sums and quotients of money."""

from collections.abc import Iterable
from decimal import Context, Decimal

ZERO = Decimal(0)
_WIDE = Context(prec=60)
_QUOTIENT = Context(prec=12)


def exact_sum(amounts: Iterable[Decimal]) -> Decimal:
    """Add money without rounding: `Decimal`'s usual 28 digits would round a long ledger's sum."""
    total = ZERO
    for amount in amounts:
        total = _WIDE.add(total, amount)
    return total


def per(usd: Decimal, count: int) -> Decimal | None:
    """Money per something, to twelve digits; `None` when there is nothing of it."""
    return _QUOTIENT.divide(usd, Decimal(count)) if count else None


def share(part: Decimal | int, whole: Decimal | int) -> float:
    """A part, for a bar; nothing has no parts."""
    return float(part / whole) if whole else 0.0
