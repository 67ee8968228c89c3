"""The calls of a time as one table: full hours from the roll-ups, cut hours from the ledger.

A question's edges cut hours: now does, and so do midnights of zones with a half-hour offset. What
lies in such an hour is read row by row, so that sums are those of the ledger to the last digit.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Subquery,
    Table,
    and_,
    case,
    func,
    literal_column,
    or_,
    select,
    union_all,
)

from llm_core.policy.decision import ErrorClass
from policy_service.adapters.sql.backfill import amount, group_column
from policy_service.adapters.sql.dialects import FullHour
from policy_service.adapters.sql.months import hour_of
from policy_service.adapters.sql.slots import place
from policy_service.adapters.sql.tables import Base
from policy_service.adapters.sql.within import within
from policy_service.ports.costs import Dimension, Scope

USAGE = Base.metadata.tables["usage"]
HOURLY = Base.metadata.tables["usage_hourly"]
_HOUR = timedelta(hours=1)
_NAMES = {Dimension.MODEL: "asked_model", Dimension.SERVED_MODEL: "model"}
_NODE_KINDS = ("organisation", "department", "team", "project")
_CONDITIONAL = {
    "failed": ("requests", "failed"),
    "estimated_requests": ("requests", "estimated"),
    "estimated_usd": ("usd", "estimated"),
}
"""What is summed of which amount, and under which condition."""

Placed = Callable[[ColumnElement[Any]], ColumnElement[Any]]
"""Says of a moment, in SQL, where it belongs."""


def column(table: Table, name: str) -> ColumnElement[Any]:
    """A dimension's column in the roll-ups or in the ledger."""
    inner = _NAMES.get(Dimension(name), name)
    return table.c[inner] if inner in table.c else group_column(inner)


def chosen(
    table: Table, scope: Scope, named: Callable[[Table, str], ColumnElement[Any]] = column
) -> list[ColumnElement[bool]]:
    """The conditions of a scope on a table's rows."""
    nodes = {kind: table.c[kind] for kind in _NODE_KINDS if kind in table.c}
    conditions = [within(scope.nodes, nodes)]
    for dimension, values in scope.filters.items():
        place_of = named(table, dimension)
        tagged = [value for value in values if value]
        ways: list[ColumnElement[bool]] = [place_of.in_(tagged)] if tagged else []
        if len(tagged) < len(values):
            ways.append(or_(place_of.is_(None), place_of == ""))
        conditions.append(or_(*ways))
    return conditions


def by_span(edges: Sequence[datetime]) -> Placed:
    """Which span between the edges a moment lies in, from 0."""
    inner = tuple(edges[1:-1])
    return lambda moment: place(moment, inner)


def by_hour(moment: ColumnElement[Any]) -> ColumnElement[Any]:
    """The full hour that a moment lies in."""
    return moment if moment is HOURLY.c.hour else FullHour(moment)


def facts(
    scope: Scope,
    edges: Sequence[datetime],
    placed: Placed,
    dimensions: Iterable[str],
    sums: Sequence[str],
) -> Subquery:
    """Rows with `place`, the dimensions and the amounts to be summed, each by its name."""
    names = tuple(dimensions)
    first, last, cut = _hours(edges)
    hours = _selected(HOURLY, HOURLY.c.hour, placed, names, sums)
    hours = hours.where(HOURLY.c.hour >= first, HOURLY.c.hour < last, *chosen(HOURLY, scope))
    inner = [hour for hour in cut if first <= hour < last]
    if inner:
        hours = hours.where(HOURLY.c.hour.not_in(inner))
    if not cut:
        return hours.subquery()
    pieces = [
        and_(USAGE.c.at >= max(hour, edges[0]), USAGE.c.at < min(hour + _HOUR, edges[-1]))
        for hour in cut
    ]
    rows = _selected(USAGE, USAGE.c.at, placed, names, sums)
    rows = rows.where(or_(*pieces), *chosen(USAGE, scope))
    return union_all(hours, rows).subquery()


def _hours(edges: Sequence[datetime]) -> tuple[datetime, datetime, list[datetime]]:
    """The hours that are whole or cut within, and each hour that an edge cuts."""
    cut = sorted({hour_of(edge) for edge in edges if hour_of(edge) != edge})
    first = hour_of(edges[0])
    first = first if first == edges[0] else first + _HOUR
    return first, max(hour_of(edges[-1]), first), cut


def _selected(
    table: Table,
    moment: ColumnElement[Any],
    placed: Placed,
    names: Iterable[str],
    sums: Iterable[str],
) -> Select[Any]:
    return select(
        placed(moment).label("place"),
        *(column(table, name).label(name) for name in names),
        *(_amount(table, name).label(name) for name in sums),
    )


def _amount(table: Table, name: str) -> ColumnElement[Any]:
    if name in _CONDITIONAL:
        inner, condition = _CONDITIONAL[name]
        return case(
            (_conditions(table)[condition], _amount(table, inner)), else_=literal_column("0")
        )
    return table.c[name] if table is HOURLY else amount(name)


def _conditions(table: Table) -> Mapping[str, ColumnElement[bool]]:
    return {
        "failed": table.c.error_class != ErrorClass.NONE.value,
        "estimated": group_column("is_estimated") if table is USAGE else table.c.is_estimated,
    }


def summed(source: Subquery, sums: Iterable[str]) -> list[ColumnElement[Any]]:
    """Each amount's sum, 0 of nothing."""
    return [func.sum(source.c[name]).label(name) for name in sums]
