"""The provider register as a page to print, and as a table for other programs."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from html import escape

from policy_service.services.provider_register import (
    UNLABELLED,
    Period,
    RegisterEntry,
    retention,
    sub_processors,
    training,
)

_COLUMNS = (
    "Provider",
    "Deployment",
    "Model",
    "Region",
    "Requests",
    "Input tokens",
    "Output tokens",
    "USD",
    "DPA",
    "BAA",
    "Other agreements",
    "Retention",
    "Trains on data",
    "Sub-processors",
    "Data labels",
    "Data classes",
    "Remarks",
)
_GONE = "no longer in the models file: its terms are not known"
_STYLE = """
body { font: 13px/1.45 system-ui, sans-serif; margin: 2rem; color: #1a1a1a }
h1 { font-size: 1.4rem; margin: 0 0 .3rem } p { margin: .2rem 0 1rem; max-width: 60rem }
table { border-collapse: collapse; width: 100% }
th, td { border: 1px solid #bbb; padding: .3rem .45rem; text-align: left; vertical-align: top }
th { background: #f0f0f0 } td.number { text-align: right; white-space: nowrap }
td.warning { background: #fff1e0 } tr { break-inside: avoid } thead { display: table-header-group }
@media print { @page { size: A4 landscape; margin: 12mm } body { margin: 0; font-size: 8px }
  th, td { padding: .15rem .25rem } }
""".strip()
_NUMBERS = frozenset({"Requests", "Input tokens", "Output tokens", "USD"})
_WARNS = ("none", "not known", "lapsed", "from 2", "not before", "yes", "no longer")
_WATCHED = frozenset({"DPA", "Retention", "Trains on data", "Sub-processors", "Remarks"})
# What spreadsheets take for the beginning of a formula
# (https://owasp.org/www-community/attacks/CSV_Injection, checked 2026-11-29).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_csv(entries: Sequence[RegisterEntry]) -> str:
    """A line for each deployment, with a head; safe to open in a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for entry in entries:
        writer.writerow(_harmless(cell) for cell in _cells(entry))
    return text.getvalue()


def as_html(
    entries: Sequence[RegisterEntry],
    period: Period,
    *,
    revision: str,
    made_at: datetime,
    whose: str = "",
) -> str:
    """One page that needs nothing else, readable when it is printed.

    Args:
        entries: The register.
        period: For the heading.
        revision: Of the policy whose lists gave the classes.
        made_at: When, with its zone.
        whose: Whose calls alone these are, `department hr`; empty: everybody's.
    """
    head = "".join(f"<th scope='col'>{escape(name)}</th>" for name in _COLUMNS)
    rows = "\n".join(_row(entry) for entry in entries)
    only = f"Only calls of {escape(whose)}. " if whose else ""
    if not entries:
        rows = f"<tr><td colspan='{len(_COLUMNS)}'>No deployment was called in this time.</td></tr>"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Provider register {period.first} to {period.last}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>Provider register</h1>
<p>{only}{period.first} to {period.last}, both days included, UTC. Deployments that were called,
from the ledger; what was agreed, from the models file as it is now; classes of data by the policy
{escape(revision)}. Made at {made_at:%Y-%m-%d %H:%M} UTC.</p>
<table>
<thead><tr>{head}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</body>
</html>
"""


def _row(entry: RegisterEntry) -> str:
    cells = zip(_COLUMNS, _cells(entry), strict=True)
    return "<tr>" + "".join(f"<td{_class(name, cell)}>{escape(cell)}</td>" for name, cell in cells)


def _class(name: str, cell: str) -> str:
    if name in _NUMBERS:
        return " class='number'"
    if name in _WATCHED and cell.startswith(_WARNS) and (name, cell) != ("Sub-processors", "none"):
        return " class='warning'"
    return ""


def _cells(entry: RegisterEntry) -> tuple[str, ...]:
    used = entry.used
    others = {kind: said for kind, said in entry.agreements.items() if kind not in ("dpa", "baa")}
    return (
        used.provider,
        used.deployment_id,
        used.model,
        used.region,
        str(used.requests),
        str(used.input_tokens),
        str(used.output_tokens),
        f"{used.usd:f}",
        entry.agreements["dpa"],
        entry.agreements["baa"],
        "; ".join(f"{kind}: {said}" for kind, said in others.items()),
        retention(entry.processing),
        training(entry.processing),
        sub_processors(entry.processing),
        ", ".join(used.labels) or UNLABELLED,
        ", ".join(entry.classes) or UNLABELLED,
        "" if entry.is_listed else _GONE,
    )


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
