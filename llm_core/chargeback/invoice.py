"""Reading a provider's cost export: which column is the model, which the money.

The guesses are the exports' own heads, compared without case, spaces and punctuation. Those of the
OpenAI and Anthropic consoles are as people keep such exports in public repositories, those of AWS
as its user guide names them (seen 2026-11-29). Those of Azure and of Google Cloud have not been
held against an export; `columns` mends a guess that is wrong.
https://docs.aws.amazon.com/cur/latest/userguide/Lineitem-columns.html
https://learn.microsoft.com/azure/cost-management-billing/dataset-schema/cost-usage-details-ea
https://docs.cloud.google.com/billing/docs/how-to/export-data-bigquery-tables/standard-usage
An export in FOCUS is read for every provider.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from types import MappingProxyType

_FOCUS_MODEL = ("SkuId", "SkuMeter", "ResourceName", "ChargeDescription")
_FOCUS_USD = ("BilledCost", "EffectiveCost")
_FOCUS_CURRENCY = ("BillingCurrency",)
_ANY_MODEL = ("model", "model_name", "description", *_FOCUS_MODEL)
_ANY_USD = ("cost_usd", "usd", "amount_usd", "cost", "amount", *_FOCUS_USD)
_ANY_CURRENCY = ("currency", *_FOCUS_CURRENCY)


@dataclass(frozen=True, slots=True)
class Guess:
    """The heads that a provider's export may have for the model, the money and its currency."""

    model: tuple[str, ...] = ()
    usd: tuple[str, ...] = ()
    currency: tuple[str, ...] = ()


_OPENAI = Guess(("line_item", "model"), ("amount_value",), ("amount_currency",))
_ANTHROPIC = Guess(("model", "description"), ("cost_usd",))
_AZURE = Guess(
    ("MeterName", "ProductName", "Meter"),
    ("CostInUsd", "CostInBillingCurrency", "PreTaxCost", "Cost"),
    ("BillingCurrency", "BillingCurrencyCode"),
)
_AWS = Guess(
    ("lineItem/UsageType", "line_item_usage_type", "lineItem/LineItemDescription"),
    ("lineItem/UnblendedCost", "line_item_unblended_cost"),
    ("lineItem/CurrencyCode", "line_item_currency_code"),
)
_GCP = Guess(("SKU description", "sku.description"), ("Cost ($)", "Cost"), ("Currency",))
GUESSES: Mapping[str, Guess] = MappingProxyType(
    {
        "openai": _OPENAI,
        "anthropic": _ANTHROPIC,
        "azure_openai": _AZURE,
        "azure": _AZURE,
        "bedrock": _AWS,
        "aws": _AWS,
        "gemini": _GCP,
        "vertex": _GCP,
        "gcp": _GCP,
    }
)
_FIELDS = ("model", "usd", "currency")
_MONEY = re.compile(r"-?\$?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?([eE]-?\d{1,2})?|-?\$?\.\d+")
_MOST_FAULTS = 5
_MOST_CHARS = 60


class InvoiceUnreadable(ValueError):
    """An export cannot be read; says which columns are missing, or which lines are at fault."""


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """What one line of an export asks for.

    Args:
        number: In the file, the head being line 1.
    """

    number: int
    model: str
    usd: Decimal


def read_invoice(
    text: str, provider: str, columns: Mapping[str, str] | None = None
) -> list[InvoiceLine]:
    """Read an export. Lines without an amount ask for nothing and are left out.

    Args:
        text: The CSV; commas, semicolons or tabs.
        provider: Whose it is, as deployments name it.
        columns: Heads that are otherwise than guessed, for `model`, `usd` and `currency`.

    Raises:
        InvoiceUnreadable: Columns are missing, or lines are no such lines.
    """
    rows = _rows(text.removeprefix("\ufeff"))
    heads = next(rows, (0, []))[1]
    at = _places(heads, provider, columns or {})
    lines: list[InvoiceLine] = []
    faults: list[str] = []
    for number, row in rows:
        if not any(cell.strip() for cell in row):
            continue
        try:
            line = _line(number, row, at)
        except InvoiceUnreadable as fault:
            faults.append(f"line {number}: {fault}")
            continue
        if line is not None:
            lines.append(line)
    if faults:
        more = len(faults) - _MOST_FAULTS
        told = "; ".join(faults[:_MOST_FAULTS])
        raise InvoiceUnreadable(f"{told}; and {more} lines more" if more > 0 else told)
    return lines


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as fault:
        raise InvoiceUnreadable(f"line {reader.line_num} is no CSV: {fault}") from fault


def _places(heads: Sequence[str], provider: str, columns: Mapping[str, str]) -> dict[str, int]:
    unknown = sorted(columns.keys() - set(_FIELDS))
    if unknown:
        raise InvoiceUnreadable(
            f"`columns` names {unknown[0]!r}; it may name model, usd and currency"
        )
    known = {_plain(head): at for at, head in reversed(list(enumerate(heads)))}
    guess = GUESSES.get(provider, Guess())
    wanted: dict[str, tuple[str, ...]] = {
        "model": (*guess.model, *_ANY_MODEL),
        "usd": (*guess.usd, *_ANY_USD),
        "currency": (*guess.currency, *_ANY_CURRENCY),
    }
    for name, head in columns.items():
        wanted[name] = (head,)
    found = {
        name: next((known[_plain(head)] for head in candidates if _plain(head) in known), None)
        for name, candidates in wanted.items()
    }
    missing = [
        f"{name} (one of {', '.join(wanted[name])})"
        for name, at in found.items()
        if at is None and (name != "currency" or name in columns)
    ]
    if missing:
        had = ", ".join(head.strip()[:_MOST_CHARS] for head in heads) or "nothing"
        raise InvoiceUnreadable(
            f"there is no column for {' and none for '.join(missing)}; the first line has {had}. "
            "Name the columns in `columns`"
        )
    return {name: at for name, at in found.items() if at is not None}


def _line(number: int, row: Sequence[str], at: Mapping[str, int]) -> InvoiceLine | None:
    if max(at[name] for name in ("model", "usd")) >= len(row):
        raise InvoiceUnreadable(f"it has {len(row)} cells, fewer than the first line")
    amount = row[at["usd"]].strip()
    if not amount:
        return None
    if not _MONEY.fullmatch(amount):
        raise InvoiceUnreadable(f"{amount[:_MOST_CHARS]!r} is no amount such as 12.50")
    currency = row[at["currency"]].strip() if at.get("currency", len(row)) < len(row) else "USD"
    if currency.upper() not in {"USD", ""}:
        raise InvoiceUnreadable(f"it is in {currency[:_MOST_CHARS]}; only USD can be compared")
    try:
        usd = Decimal(amount.replace("$", "").replace(",", ""))
    except InvalidOperation as fault:
        raise InvoiceUnreadable(f"{amount[:_MOST_CHARS]!r} is no amount such as 12.50") from fault
    return InvoiceLine(number, row[at["model"]].strip(), usd)


def _plain(head: str) -> str:
    return re.sub(r"[^a-z0-9$]", "", head.lower())
