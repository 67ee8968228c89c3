"""Amounts as people type and read them."""

from decimal import Decimal, InvalidOperation

from policy_service.cli.failures import misused


def asked_amount(text: str) -> Decimal:
    """The number; ends the command when it is none."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite():
        raise misused(f"{text!r} is no amount: write it as 50 or 0.25")
    return amount


def plain(amount: object) -> str:
    """Without an exponent and trailing zeros; empty for none."""
    return "" if amount is None else f"{Decimal(str(amount)).normalize():f}"
