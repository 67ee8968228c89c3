"""What was used in any time, by any dimension, to the last digit.

Whole hours come from the roll-ups, what is left at the edges from the ledger itself: zones with a
half hour or a quarter begin their days between the hours of the roll-ups.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from sqlalchemy import SQLColumnExpression, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from policy_service.adapters.sql.months import full_hours
from policy_service.adapters.sql.tables import Usage, UsageHourly
from policy_service.adapters.sql.within import within

_Columns = Mapping[str, SQLColumnExpression[Any]]
_SAME = (
    "organisation",
    "department",
    "team",
    "project",
    "user",
    "application",
    "cost_centre",
    "provider",
    "region",
    "operation",
    "use_case",
    "error_class",
)
_ROLLED_UP: _Columns = MappingProxyType(
    {
        **{name: getattr(UsageHourly, name) for name in _SAME},
        "model": UsageHourly.asked_model,
        "served_model": UsageHourly.model,
    }
)
_WRITTEN: _Columns = MappingProxyType(
    {
        **{name: getattr(Usage, name) for name in _SAME},
        "model": Usage.asked_model,
        "served_model": func.coalesce(Usage.served_model, Usage.routed_model),
    }
)
_PLACES = ("organisation", "department", "team", "project")


@dataclass(frozen=True, slots=True)
class UsageSum:
    """What one group has used.

    Args:
        keys: Its dimensions.
    """

    keys: Mapping[str, str | None]
    requests: int
    input_tokens: int
    output_tokens: int
    usd: Decimal


async def usage_between(
    connection: AsyncConnection,
    start: datetime,
    end: datetime,
    *,
    by: Sequence[str],
    only: Mapping[str, str],
    nodes: Collection[str] | None = None,
) -> list[UsageSum]:
    """The sums of a time, by some dimensions.

    Args:
        connection: Everything is read in its transaction.
        start: UTC-aware.
        end: The first moment after it.
        by: The dimensions to tell apart.
        only: Values that dimensions must have.
        nodes: Only what was used at or below these; `None` for all.
    """
    from_hour, to_hour = full_hours(start, end)
    found: dict[tuple[str | None, ...], UsageSum] = {}
    for columns, time, first, last in (
        (_ROLLED_UP, UsageHourly.hour, from_hour, to_hour),
        (_WRITTEN, Usage.at, start, from_hour),
        (_WRITTEN, Usage.at, to_hour, end),
    ):
        if first >= last:
            continue
        groups: list[SQLColumnExpression[Any]] = [columns[name].label(f"by_{name}") for name in by]
        statement = (
            select(*groups, *_sums_of(columns))
            .where(time >= first, time < last)
            .where(*(columns[name] == value for name, value in only.items()))
            .where(within(nodes, {name: columns[name] for name in _PLACES}))
            .group_by(*groups)
        )
        for row in await connection.execute(statement):
            _add(found, by, row)
    return list(found.values())


def _sums_of(columns: _Columns) -> list[SQLColumnExpression[Any]]:
    if columns is _WRITTEN:
        return [
            func.count(),
            func.sum(func.coalesce(Usage.input_tokens, 0)),
            func.sum(func.coalesce(Usage.output_tokens, 0)),
            func.sum(Usage.usd),
        ]
    return [
        func.sum(UsageHourly.requests),
        func.sum(UsageHourly.input_tokens),
        func.sum(UsageHourly.output_tokens),
        func.sum(UsageHourly.usd),
    ]


def _add(found: dict[tuple[str | None, ...], UsageSum], by: Sequence[str], row: Any) -> None:  # noqa: ANN401 - a row of any query
    key = tuple(row[: len(by)])
    requests, asked, answered, usd = row[len(by) :]
    if not requests:  # a sum over no rows is null, and a group that was corrected away is empty
        return
    old = found.get(key, UsageSum(dict(zip(by, key, strict=True)), 0, 0, 0, Decimal(0)))
    found[key] = UsageSum(
        old.keys,
        old.requests + int(requests),
        old.input_tokens + int(asked),
        old.output_tokens + int(answered),
        old.usd + usd,
    )
