"""How numbers are written."""

from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

_CENT = Decimal("0.01")
_SIGNIFICANT = 3
NOTHING = "\N{EN DASH}"


def usd_text(amount: Decimal | None) -> str:
    """Write money: cents from one dollar on, three significant digits below.

    `1234.5` is `$1,234.50`, `0.25` is `$0.25`, `0.00043172` is `$0.000432`; `None` is a dash.
    """
    if amount is None:
        return NOTHING
    step = _CENT
    if amount and abs(amount) < 1:
        step = min(_CENT, Decimal(1).scaleb(amount.adjusted() - _SIGNIFICANT + 1))
    rounded = amount.quantize(step, rounding=ROUND_HALF_EVEN)
    whole, _, decimals = f"{abs(rounded):,f}".partition(".")
    # Zeros after the cents say nothing.
    decimals = decimals.rstrip("0").ljust(2, "0")
    sign = "-" if rounded < 0 else ""
    return f"{sign}${whole}.{decimals}"


def count_text(count: int) -> str:
    """Write a count with separators."""
    return f"{count:,}"


def short_count_text(count: int) -> str:
    """Write a large count in a few characters: `12.3 M`."""
    for limit, unit in ((10**9, "B"), (10**6, "M"), (10**4, "k")):
        if count >= limit:
            scale = 1000 if unit == "k" else limit
            return f"{count / scale:,.1f} {unit}"
    return f"{count:,}"


def percent_text(share: Decimal | float) -> str:
    """Write a share; 1 is 100 %."""
    return f"{share:.0%}"


def month_text(month: str) -> str:
    """Write `2026-11` as `November 2026`."""
    return date.fromisoformat(f"{month}-01").strftime("%B %Y")
