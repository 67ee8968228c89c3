"""A statement as a table: columns, rows and a row of sums, and that as CSV (RFC 4180)."""

import csv
import io
from collections.abc import Iterable, Sequence
from decimal import Decimal

from llm_core.chargeback.split import in_cents
from llm_core.chargeback.statement import Statement

Cell = str | int | Decimal | None
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_TOTAL = "total"
UNTAGGED = "(untagged)"


def columns_of(statement: Statement) -> tuple[str, ...]:
    """The table's heads; with another currency, one more beside USD."""
    heads = (
        "period",
        "cost_centre",
        "department",
        "team",
        "project",
        "requests",
        "input_tokens",
        "output_tokens",
        "direct_usd",
        "shared_usd",
        "usd",
        "billed_usd",
    )
    if statement.currency is None:
        return heads
    return (*heads, f"billed_{statement.currency.code.lower()}")


def rows_of(statement: Statement) -> list[tuple[Cell, ...]]:
    """A row for each line. What has no cost centre says so."""
    rows: list[tuple[Cell, ...]] = [
        (
            statement.period,
            line.cost_centre or UNTAGGED,
            line.department,
            line.team,
            line.project,
            line.requests,
            line.input_tokens,
            line.output_tokens,
            line.direct_usd,
            line.shared_usd,
            line.usd,
            line.billed_usd,
        )
        for line in statement.lines
    ]
    if statement.currency is None:
        return rows
    shown = in_cents([line.billed_usd * statement.currency.usd_rate for line in statement.lines])
    return [(*row, amount) for row, amount in zip(rows, shown, strict=True)]


def totals_of(statement: Statement, rows: Sequence[Sequence[Cell]]) -> tuple[Cell, ...]:
    """The row of sums."""
    texts: tuple[Cell, ...] = (_TOTAL, None, None, None, None)
    sums = [_sum(row[at] for row in rows) for at in range(len(texts), len(columns_of(statement)))]
    return (*texts, *sums)


def to_csv(statement: Statement) -> bytes:
    """The table as CSV with a row of sums, UTF-8. No cell of text begins a formula."""
    rows = rows_of(statement)
    return csv_of(columns_of(statement), [*rows, totals_of(statement, rows)])


def csv_of(heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """CSV as RFC 4180 has it: CRLF, quotes where they are needed."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow(heads)
    writer.writerows([cell_text(cell) for cell in row] for row in rows)
    return written.getvalue().encode()


def cell_text(cell: Cell) -> str:
    """One cell as text.

    A spreadsheet takes text that begins with `=` and the like for a formula, and names of projects
    are anybody's; a quote before it makes it text again.
    https://owasp.org/www-community/attacks/CSV_Injection
    """
    match cell:
        case None:
            return ""
        case Decimal():
            return f"{cell:f}"
        case str():
            return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell
        case _:
            return str(cell)


def _sum(cells: Iterable[Cell]) -> int | Decimal:
    numbers = [cell for cell in cells if isinstance(cell, int | Decimal)]
    return (
        sum(numbers, Decimal(0))
        if any(isinstance(one, Decimal) for one in numbers)
        else sum(int(one) for one in numbers)
    )
