"""From rows to frames. Pure; money stays `Decimal`, and sums are exact.

Columns of money hold `Decimal` objects. They are added in Python, never by numpy, so that a total
is the sum of what is charged to the last digit. `used_percent` is for bars only and may be a float.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date
from decimal import Decimal
from enum import StrEnum

import pandas as pd  # type: ignore[import-untyped] # its stubs are a package of their own

from dashboard.usage_api import BudgetRow, CallRow, SpendRow

ZERO = Decimal(0)
TOTAL = "Total"


class Grouping(StrEnum):
    """How spend is summed up in the table."""

    DEPARTMENT = "Department"
    TEAM = "Team"
    MODEL = "Model"
    ALL = "Everything"


_KEYS = {
    Grouping.DEPARTMENT: ("department",),
    Grouping.TEAM: ("department", "team"),
    Grouping.MODEL: ("model",),
    Grouping.ALL: ("department", "team", "model"),
}


@dataclass(frozen=True, slots=True)
class Totals:
    """The month in four numbers.

    Args:
        budget_usd: Sum of the teams' budgets; `None` when no team has one.
        budgeted_usd: What the teams with a budget spent.
    """

    usd: Decimal
    requests: int
    tokens: int
    budget_usd: Decimal | None
    budgeted_usd: Decimal

    @property
    def used_share(self) -> Decimal | None:
        """Part of the budget that is used by those who have one; 1 is all of it."""
        if not self.budget_usd:
            return None
        return self.budgeted_usd / self.budget_usd


def months(today: date, count: int = 12) -> list[str]:
    """The latest months, this one first, written `2026-11`."""
    last = today.year * 12 + today.month - 1
    return [f"{month // 12:04d}-{month % 12 + 1:02d}" for month in range(last, last - count, -1)]


def totals(spend: Sequence[SpendRow], budgets: Sequence[BudgetRow]) -> Totals:
    """Add everything up."""
    limited = [row for row in budgets if row.budget_usd is not None]
    return Totals(
        usd=exact_sum(row.usd for row in spend),
        requests=sum(row.requests for row in spend),
        tokens=sum(row.input_tokens + row.output_tokens for row in spend),
        budget_usd=exact_sum(row.budget_usd or ZERO for row in limited) if limited else None,
        budgeted_usd=exact_sum(row.used_usd for row in limited),
    )


def exact_sum(amounts: Iterable[Decimal]) -> Decimal:
    """Add money without rounding.

    `Decimal` rounds sums to 28 digits by default: sixteen before the point are left when prices go
    to the pico-dollar, which no bill will ever need.
    """
    return sum(amounts, ZERO)


def spend_frame(spend: Sequence[SpendRow], grouping: Grouping) -> pd.DataFrame:
    """Sum up by what `grouping` names, dearest first, with a line of totals at the end.

    Returns:
        The key columns, `requests`, `input_tokens`, `output_tokens`, `usd`.
    """
    keys = _KEYS[grouping]
    sums: dict[tuple[str, ...], list[SpendRow]] = {}
    for row in spend:
        sums.setdefault(tuple(getattr(row, key) for key in keys), []).append(row)
    summed = [(key, _sums(rows)) for key, rows in sums.items()]
    summed.sort(key=lambda line: (-line[1][-1], line[0]))
    summed.append(((TOTAL, *[""] * (len(keys) - 1)), _sums(spend)))
    lines = [(*key, *numbers) for key, numbers in summed]
    columns = [*keys, "requests", "input_tokens", "output_tokens", "usd"]
    return pd.DataFrame(lines, columns=columns).astype({"usd": object})


def _sums(rows: Sequence[SpendRow]) -> tuple[int, int, int, Decimal]:
    return (
        sum(row.requests for row in rows),
        sum(row.input_tokens for row in rows),
        sum(row.output_tokens for row in rows),
        exact_sum(row.usd for row in rows),
    )


def budget_frame(budgets: Sequence[BudgetRow]) -> pd.DataFrame:
    """Teams against their budgets, the most used first; those without a budget last.

    Returns:
        `department`, `team`, `used_usd`, `budget_usd` (`None`: no budget), `used_percent` (NaN:
        no budget).
    """
    lines = [
        (row.department, row.team, row.used_usd, row.budget_usd, _used_percent(row))
        for row in budgets
    ]
    lines.sort(key=lambda line: (line[4] is None, -(line[4] or 0.0), line[0], line[1]))
    columns = ["department", "team", "used_usd", "budget_usd", "used_percent"]
    frame = pd.DataFrame(lines, columns=columns)
    return frame.astype({"used_usd": object, "budget_usd": object, "used_percent": "float64"})


def _used_percent(row: BudgetRow) -> float | None:
    """Used part of the budget; a budget of nothing is used up by the first cent."""
    if row.budget_usd is None:
        return None
    if not row.budget_usd:
        return 100.0 if row.used_usd else 0.0
    return float(100 * row.used_usd / row.budget_usd)


def team_model_frame(spend: Sequence[SpendRow]) -> pd.DataFrame:
    """One line for every bar segment of the chart.

    Returns:
        `department`, `team`, `model`, `usd`.
    """
    sums: dict[tuple[str, str, str], list[Decimal]] = {}
    for row in spend:
        sums.setdefault((row.department, row.team, row.model), []).append(row.usd)
    lines = [(*key, exact_sum(amounts)) for key, amounts in sums.items()]
    columns = ["department", "team", "model", "usd"]
    return pd.DataFrame(lines, columns=columns).astype({"usd": object})


def recent_frame(calls: Sequence[CallRow]) -> pd.DataFrame:
    """The newest calls, in the order given.

    Returns:
        `at` (UTC, without zone), `team`, `asked_model`, `served_model`, `tokens` (`None` when
        nothing was reported), `usd`, `status`, `latency_ms`.
    """
    lines = [
        (
            row.at.astimezone(UTC).replace(tzinfo=None),
            row.team,
            row.asked_model,
            row.served_model,
            _tokens(row),
            row.usd,
            row.http_status,
            row.total_ms,
        )
        for row in calls
    ]
    columns = ["at", "team", "asked_model", "served_model", "tokens", "usd", "status", "latency_ms"]
    frame = pd.DataFrame(lines, columns=columns)
    return frame.astype({"tokens": "Int64", "usd": object, "latency_ms": "float64"})


def _tokens(row: CallRow) -> int | None:
    if row.input_tokens is None and row.output_tokens is None:
        return None
    return (row.input_tokens or 0) + (row.output_tokens or 0)
