"""How numbers and times are written."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from zoneinfo import ZoneInfo

_CENT = Decimal("0.01")
_SIGNIFICANT = 3
_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹"}
_WIDE = Context(prec=60)
_UNITS = ((10**9, "B"), (10**6, "M"), (10**4, "k"))
NOTHING = "\N{EN DASH}"
UNTAGGED = "(untagged)"
_SECOND_MS = 1000
_MARKS = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:])")


@dataclass(frozen=True, slots=True)
class Currency:
    """What amounts are shown in. They stay in USD, and exact, until they are written.

    Args:
        code: ISO 4217.
        usd_rate: How much of it a dollar is.
    """

    code: str = "USD"
    usd_rate: Decimal = Decimal(1)

    @property
    def symbol(self) -> str:
        """Written before the number: `$`, or the code and a space where there is none."""
        return _SYMBOLS.get(self.code, f"{self.code} ")

    def of(self, usd: Decimal) -> Decimal:
        """An amount of dollars in this currency, unrounded."""
        return _WIDE.multiply(usd, self.usd_rate)

    def text(self, usd: Decimal | None) -> str:
        """Write money: cents from one on, three significant digits below.

        `1234.5` is `$1,234.50`, `0.25` is `$0.25`, `0.00043172` is `$0.000432`; `None` is a dash.
        """
        if usd is None:
            return NOTHING
        amount = self.of(usd)
        step = _CENT
        if amount and abs(amount) < 1:
            step = min(_CENT, Decimal(1).scaleb(amount.adjusted() - _SIGNIFICANT + 1))
        rounded = amount.quantize(step, rounding=ROUND_HALF_EVEN, context=_WIDE)
        whole, _, decimals = f"{abs(rounded):,f}".partition(".")
        # Zeros after the cents say nothing.
        decimals = decimals.rstrip("0").ljust(2, "0")
        return f"{'-' if rounded < 0 else ''}{self.symbol}{whole}.{decimals}"

    def change(self, usd: Decimal | None) -> str:
        """Write a difference, with its sign."""
        written = self.text(usd)
        return f"+{written}" if usd is not None and usd > 0 else written

    def drawn(self, usd: Decimal) -> float:
        """A length on the screen, not an amount: the exact one stands beside it as text."""
        return float(self.of(usd))


def count_text(count: int | Decimal | None) -> str:
    """Write a count with separators."""
    return NOTHING if count is None else f"{count:,}"


def short_count_text(count: int) -> str:
    """Write a large count in a few characters: `12.3 M`."""
    for limit, unit in _UNITS:
        if count >= limit:
            return f"{count / (1000 if unit == 'k' else limit):,.1f} {unit}"
    return f"{count:,}"


def parts_text(whole: int, **parts: int) -> str:
    """Write a count, and what of it was of which kind, if any: `1,200, of which 300 of audio`."""
    told = [f"{count:,} of {kind}" for kind, count in parts.items() if count]
    return f"{whole:,}, of which {' and '.join(told)}" if told else f"{whole:,}"


def percent_text(share: Decimal | float | None, digits: int = 0) -> str:
    """Write a share; 1 is 100 %."""
    return NOTHING if share is None else f"{share:.{digits}%}"


def duration_text(milliseconds: float | None) -> str:
    """Write a duration: `812 ms`, `1.24 s`."""
    if milliseconds is None:
        return NOTHING
    if milliseconds < _SECOND_MS:
        return f"{milliseconds:,.0f} ms"
    return f"{milliseconds / _SECOND_MS:,.2f} s"


def month_text(month: str) -> str:
    """Write `2026-11` as `November 2026`."""
    return date.fromisoformat(f"{month}-01").strftime("%B %Y")


def time_text(at: datetime | None, tz: str = "UTC") -> str:
    """Write a moment, to the minute, in a time zone that stands elsewhere on the page."""
    return NOTHING if at is None else f"{in_zone(at, tz):%Y-%m-%d %H:%M}"


def in_zone(at: datetime, tz: str) -> datetime:
    """The same moment there; in UTC where nobody knows the zone."""
    try:
        zone = ZoneInfo(tz)
    except (LookupError, OSError, ValueError):
        return at.astimezone(UTC)
    return at.astimezone(zone)


def unit_text(measure: str, amount: Decimal, currency: Currency) -> str:
    """Write a limit's amount in its own unit: money, tokens or requests."""
    if measure.startswith("usd"):
        return currency.text(amount)
    whole = amount.to_integral_value() if amount == amount.to_integral_value() else amount
    return count_text(int(whole)) if whole == whole.to_integral_value() else f"{whole:,f}"


def measure_text(measure: str) -> str:
    """Write `usd_per_month` as `USD per month`."""
    words = measure.replace("_", " ")
    return words.replace("usd", "USD", 1) if words.startswith("usd") else words.capitalize()


def plain_text(text: str) -> str:
    """Write text from elsewhere into Markdown: what it has of marks stands there as it is."""
    return _MARKS.sub(r"\\\1", " ".join(text.split()))


def key_text(value: str | None) -> str:
    """Write a dimension's value; calls that have none are untagged, and never hidden."""
    return UNTAGGED if value is None or not value else value
