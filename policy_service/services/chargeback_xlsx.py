"""A statement as an Excel workbook: real numbers, a row of sums, and what the figures rest on."""

import io
from decimal import Decimal
from typing import Any

import xlsxwriter  # type: ignore[import-untyped] # ships no types

from llm_core.chargeback.statement import Statement
from llm_core.chargeback.table import Cell, columns_of, rows_of, totals_of

_OPTIONS = {
    "in_memory": True,
    "strings_to_numbers": False,
    "strings_to_formulas": False,
    "strings_to_urls": False,
}
_EXACT = "#,##0.00##########"
_CENTS = "#,##0.00"
_COUNT = "#,##0"
_WIDTH = 18


def to_xlsx(statement: Statement) -> bytes:
    """Make the workbook: the sheets `Lines` and `About`."""
    made = io.BytesIO()
    with xlsxwriter.Workbook(made, _OPTIONS) as book:
        bold = book.add_format({"bold": True})
        _write_lines(book, bold, statement)
        _write_about(book, bold, statement)
    return made.getvalue()


def _write_lines(book: Any, bold: Any, statement: Statement) -> None:  # noqa: ANN401 - untyped
    sheet = book.add_worksheet("Lines")
    heads = columns_of(statement)
    sheet.write_row(0, 0, heads, bold)
    sheet.freeze_panes(1, 0)
    sheet.set_column(0, len(heads) - 1, _WIDTH)
    rows = rows_of(statement)
    formats = [_format_of(head) for head in heads]
    shown = [book.add_format({"num_format": one}) for one in formats]
    strong = [book.add_format({"num_format": one, "bold": True, "top": 1}) for one in formats]
    for at, row in enumerate(rows, start=1):
        _write_row(sheet, at, row, shown)
    if rows:
        sheet.autofilter(0, 0, len(rows), len(heads) - 1)
    _write_row(sheet, len(rows) + 1, totals_of(statement, rows), strong)


def _write_about(book: Any, bold: Any, statement: Statement) -> None:  # noqa: ANN401 - untyped
    sheet = book.add_worksheet("About")
    sheet.set_column(0, 1, 2 * _WIDTH)
    facts: list[tuple[str, Cell]] = [
        ("organisation", statement.organisation),
        ("period", f"{statement.period} ({statement.tz})"),
        ("from (UTC)", f"{statement.starts_at:%Y-%m-%d %H:%M}"),
        ("to (UTC)", f"{statement.ends_at:%Y-%m-%d %H:%M}"),
        ("total USD, every digit", f"{statement.total_usd:f}"),
        ("untagged USD", f"{statement.untagged_usd:f}"),
        ("closed", f"{statement.closed_at:%Y-%m-%d %H:%M}" if statement.closed_at else "preview"),
        ("closed by", statement.closed_by),
        ("digest", statement.digest),
        ("only within", ", ".join(statement.within) if statement.within is not None else None),
    ]
    if statement.currency is not None:
        rate = f"1 USD = {statement.currency.usd_rate:f} {statement.currency.code}"
        facts.append(("rate, for display", rate))
    facts += [
        (f"shared cost {one.name}", f"{one.usd:f} USD by {one.allocate}")
        for one in statement.shared
    ]
    for at, (name, fact) in enumerate(facts):
        sheet.write_string(at, 0, name, bold)
        sheet.write_string(at, 1, "" if fact is None else str(fact))


def _write_row(sheet: Any, at: int, row: tuple[Cell, ...], formats: list[Any]) -> None:  # noqa: ANN401 - untyped
    for column, (cell, form) in enumerate(zip(row, formats, strict=True)):
        match cell:
            case None:
                sheet.write_blank(at, column, None, form)
            case str():
                # Written as text it is no formula, whatever it begins with.
                sheet.write_string(at, column, cell, form)
            case Decimal() | int():
                sheet.write_number(at, column, float(cell), form)


def _format_of(head: str) -> str:
    if head.startswith("billed_"):
        return _CENTS
    if head.endswith("usd"):
        return _EXACT
    return _COUNT
