"""Spend by dimension and over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import pandas as pd  # type: ignore[import-untyped] # its stubs are a package of their own

from dashboard.api.costs import CostRow, Mover, Sums
from dashboard.formats import in_zone, key_text
from dashboard.frames.money import ZERO, exact_sum, per, share

TOTAL = "Total"
OTHER = "all others"
_THOUSAND = 1000
_MONEY = ("usd", "usd_per_request", "usd_per_1k_tokens")


@dataclass(frozen=True, slots=True)
class UnitCosts:
    """What one of something costs on average; `None` when there was none."""

    per_request: Decimal | None
    per_1k_tokens: Decimal | None
    per_user: Decimal | None


def unit_costs(total: Sums, users: int) -> UnitCosts:
    """Average costs of a period.

    Args:
        total: Its sums.
        users: How many people and applications were active in it.
    """
    tokens = per(total.usd, total.tokens)
    return UnitCosts(
        per(total.usd, total.requests),
        None if tokens is None else tokens * _THOUSAND,
        per(total.usd, users),
    )


def breakdown_frame(rows: Sequence[CostRow], total: Sums, dimension: str) -> pd.DataFrame:
    """Groups of one dimension, dearest first, with the total at the end.

    Returns:
        `name`, `share` (0 to 100), `usd`, `requests`, `input_tokens`, `output_tokens`,
        `usd_per_request`, `usd_per_1k_tokens`.
    """
    ordered = sorted(rows, key=lambda row: (-row.usd, key_text(row.keys.get(dimension))))
    lines = [_line(key_text(row.keys.get(dimension)), row, total) for row in ordered]
    lines.append(_line(TOTAL, total, total))
    columns = ["name", "share", "usd", "requests", "input_tokens", "output_tokens"]
    frame = pd.DataFrame(lines, columns=[*columns, "usd_per_request", "usd_per_1k_tokens"])
    return frame.astype(dict.fromkeys(_MONEY, object))


def _line(name: str, sums: Sums, total: Sums) -> tuple[object, ...]:
    units = unit_costs(sums, 0)
    return (
        name,
        100 * share(sums.usd, total.usd),
        sums.usd,
        sums.requests,
        sums.input_tokens,
        sums.output_tokens,
        units.per_request,
        units.per_1k_tokens,
    )


def export_frame(rows: Sequence[CostRow], dimensions: Sequence[str]) -> pd.DataFrame:
    """Every sum of every group, for a file: nothing is rounded, and untagged cells are empty."""
    sums = tuple(Sums.__dataclass_fields__)
    lines = [
        [
            *([row.start.isoformat()] if row.start is not None else [""]),
            *(row.keys.get(dimension) or "" for dimension in dimensions),
            *(getattr(row, name) for name in sums),
        ]
        for row in rows
    ]
    return pd.DataFrame(lines, columns=["start", *dimensions, *sums]).astype({"usd": object})


def trend_frame(rows: Sequence[CostRow], dimension: str, tz: str, most: int = 6) -> pd.DataFrame:
    """Spend over time by the dearest groups; what the others spent is summed up.

    Args:
        rows: With a start each.
        dimension: What they are grouped by.
        tz: Where the days and hours begin.
        most: How many groups keep their name.

    Returns:
        `start` (local, without zone), `name`, `rank`, `usd`, in order of time.
    """
    by_name: dict[str, list[Decimal]] = {}
    for row in rows:
        by_name.setdefault(key_text(row.keys.get(dimension)), []).append(row.usd)
    dearest = sorted(by_name, key=lambda name: (-exact_sum(by_name[name]), name))
    ranks = {name: rank for rank, name in enumerate(dearest[:most])}
    sums: dict[tuple[datetime, str], list[Decimal]] = {}
    for row in rows:
        if row.start is None:
            continue
        name = key_text(row.keys.get(dimension))
        start = in_zone(row.start, tz).replace(tzinfo=None)
        sums.setdefault((start, name if name in ranks else OTHER), []).append(row.usd)
    lines = [
        (start, name, ranks.get(name, most), exact_sum(amounts))
        for (start, name), amounts in sorted(sums.items())
    ]
    return pd.DataFrame(lines, columns=["start", "name", "rank", "usd"]).astype({"usd": object})


def running_frame(rows: Sequence[CostRow], tz: str) -> pd.DataFrame:
    """What a month has come to by the end of each of its days.

    Returns:
        `day` (1 to 31), `usd`, added up.
    """
    by_day: dict[int, Decimal] = {}
    for row in rows:
        if row.start is not None:
            day = in_zone(row.start, tz).day
            by_day[day] = exact_sum((by_day.get(day, ZERO), row.usd))
    lines, so_far = [], ZERO
    for day in range(1, max(by_day, default=0) + 1):
        so_far = exact_sum((so_far, by_day.get(day, ZERO)))
        lines.append((day, so_far))
    return pd.DataFrame(lines, columns=["day", "usd"]).astype({"usd": object})


def movers_frame(movers: Sequence[Mover], most: int = 8) -> pd.DataFrame:
    """Teams whose spend changed most within a week.

    Returns:
        `team`, `department`, `usd`, `before_usd`, `change_usd`; the largest change first.
    """
    ordered = sorted(movers, key=lambda one: -abs(one.change_usd))[:most]
    lines = [
        (key_text(one.team), key_text(one.department), one.usd, one.before_usd, one.change_usd)
        for one in ordered
    ]
    columns = ["team", "department", "usd", "before_usd", "change_usd"]
    return pd.DataFrame(lines, columns=columns).astype(dict.fromkeys(columns[2:], object))
