"""An invoice and the ledger side by side, by model.

Providers name a model otherwise on an invoice than in an answer: `Claude Sonnet 4.5`, `gpt-4o-mini
-2024-07-18, input`, `gpt 4o mini 0718 Input global Tokens`. So names are compared without case,
punctuation and dates, and a name on an invoice that begins with a model's is that model's.
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from llm_core.chargeback.invoice import InvoiceLine

_DATE = re.compile(r"-(20\d{2}-?\d{2}-?\d{2})(?=-|$)")
_VERSION = re.compile(r"-v\d+(-\d+)?$")
_VENDORS = re.compile(
    r"^(?:[a-z]{2,4}-)?(?:anthropic|amazon|meta|mistral|cohere|openai|models|publishers)-(?=.)"
)
_NO_MODEL = "(no model)"


class Compared(msgspec.Struct, frozen=True):
    """One model.

    Args:
        difference_usd: What was invoiced, less what the ledger has.
        note: Why they may differ; empty where the name was found and the sums are the same.
    """

    model: str
    invoiced_usd: Decimal
    ledger_usd: Decimal
    difference_usd: Decimal
    note: str


class Reconciliation(msgspec.Struct, frozen=True):
    """All models of a provider in a period, the largest difference first."""

    rows: tuple[Compared, ...]
    invoiced_usd: Decimal
    ledger_usd: Decimal
    difference_usd: Decimal


def reconciled(
    invoice: Iterable[InvoiceLine], ledger: Mapping[str | None, Decimal]
) -> Reconciliation:
    """Compare.

    Args:
        invoice: Its lines.
        ledger: What was booked by served model; `None` for calls that none is known of.
    """
    booked: dict[str, Decimal] = {}
    shown: dict[str, str] = {}
    for model, usd in ledger.items():
        name = _compared(model or _NO_MODEL)
        booked[name] = booked.get(name, Decimal(0)) + usd
        shown.setdefault(name, model or _NO_MODEL)
    invoiced: dict[str, Decimal] = {}
    guessed: set[str] = set()
    for line in invoice:
        name = _compared(line.model.partition(", ")[0] or _NO_MODEL)
        known = _known(name, booked)
        if known is not None and known != name:
            guessed.add(known)
        name = known or name
        shown.setdefault(name, line.model or _NO_MODEL)
        invoiced[name] = invoiced.get(name, Decimal(0)) + line.usd
    rows = [
        _row(shown[name], invoiced.get(name), booked.get(name), name in guessed)
        for name in sorted(invoiced.keys() | booked.keys())
    ]
    rows.sort(key=lambda row: -abs(row.difference_usd))
    asked = sum(invoiced.values(), Decimal(0))
    had = sum(booked.values(), Decimal(0))
    return Reconciliation(tuple(rows), asked, had, asked - had)


def _row(model: str, asked: Decimal | None, had: Decimal | None, is_guessed: bool) -> Compared:
    note = ""
    if had is None:
        note = "only on the invoice: calls that did not come through the gateway, or another name"
    elif asked is None:
        note = "only in the ledger: not invoiced yet, or another name"
    elif is_guessed:
        note = "matched by the beginning of its name"
    asked, had = asked or Decimal(0), had or Decimal(0)
    return Compared(model, asked, had, asked - had, note)


def _known(name: str, booked: Mapping[str, Decimal]) -> str | None:
    """The ledger's name for an invoice's: the same, or the longest that it begins with."""
    if name in booked:
        return name
    begun = [one for one in booked if name.startswith(f"{one}-")]
    return max(begun, key=len, default=None)


def _compared(model: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")
    for pattern in (_VENDORS, _VERSION, _DATE):
        name = pattern.sub("", name)
    return name or _NO_MODEL
