"""The calls of a time as one table: days and hours from the roll-ups, cut hours from the ledger.

A question's edges cut hours: now does, and so do midnights of zones with a half-hour offset. What
lies in such an hour is read row by row, so that sums are those of the ledger to the last digit.

Days come from the sums by day, where these keep all that is asked for (see `days`).
"""

from collections.abc import Callable, Iterable, Sequence
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
from policy_service.adapters.sql.backfill import amount, conditional, group_column
from policy_service.adapters.sql.costs.days import Stretch, days_of
from policy_service.adapters.sql.dialects import FullHour
from policy_service.adapters.sql.months import hour_of
from policy_service.adapters.sql.rollups import CALLERS, CONDITIONAL, MODELS
from policy_service.adapters.sql.slots import place
from policy_service.adapters.sql.tables import Base
from policy_service.adapters.sql.within import within
from policy_service.ports.costs import Dimension, Scope

USAGE = Base.metadata.tables["usage"]
HOURLY = Base.metadata.tables["usage_hourly"]
_DAILY = tuple(Base.metadata.tables[one.table] for one in (MODELS, CALLERS))
_HOUR = timedelta(hours=1)
_NAMES = {Dimension.MODEL: "asked_model", Dimension.SERVED_MODEL: "model"}
_NODE_KINDS = ("organisation", "department", "team", "project")
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
    """Rows with `place`, the dimensions and the amounts to be summed, each by its name.

    Amounts may be negative, and come to 0 in groups without calls: `has_calls` leaves them out.
    """
    names, amounts = tuple(dimensions), tuple(dict.fromkeys((*sums, "requests")))
    first, last, cut = _hours(edges)
    daily = daily_table(scope, names, amounts) if placed is not by_hour else None
    days = days_of(edges) if daily is not None else None

    def part(
        moment: ColumnElement[Any], where: Placed, *pieces: Stretch, sign: int = 1
    ) -> Select[Any]:
        table = moment.table
        rows = _selected(table, where(moment).label("place"), names, amounts, sign)
        return rows.where(_in_one_of(moment, pieces), *chosen(table, scope))

    if daily is None or days is None:
        whole = part(HOURLY.c.hour, placed, (first, last))
        inner = [hour for hour in cut if first <= hour < last]
        parts = [whole.where(HOURLY.c.hour.not_in(inner)) if inner else whole]
    else:
        of_days = by_span(days.edges)
        parts = [part(daily.c.day, of_days, (days.edges[0], days.edges[-1]))]
        if days.taken:
            parts.append(part(HOURLY.c.hour, of_days, *days.taken, sign=-1))
        if days.given:
            parts.append(part(HOURLY.c.hour, placed, *days.given))
    if cut:
        pieces = ((max(hour, edges[0]), min(hour + _HOUR, edges[-1])) for hour in cut)
        parts.append(part(USAGE.c.at, placed, *pieces))
    return (union_all(*parts) if len(parts) > 1 else parts[0]).subquery()


def has_calls(source: Subquery) -> ColumnElement[bool]:
    """Whether a group of `facts` has calls; the others are those whose hours belong elsewhere."""
    return func.sum(source.c.requests) != literal_column("0")


def daily_table(scope: Scope, dimensions: Iterable[str], sums: Iterable[str]) -> Table | None:
    """The smallest sums by day that keep all that is asked for; `None` when only hours do."""
    kinds = {node.partition(":")[0] for node in scope.nodes or ()}
    wanted = {_NAMES.get(Dimension(name), name) for name in (*dimensions, *scope.filters)}
    wanted |= {*sums, *kinds.intersection(_NODE_KINDS)}
    return next((table for table in _DAILY if wanted <= {*table.c.keys()}), None)


def _in_one_of(moment: ColumnElement[Any], pieces: Iterable[Stretch]) -> ColumnElement[bool]:
    return or_(*(and_(moment >= start, moment < end) for start, end in pieces))


def _hours(edges: Sequence[datetime]) -> tuple[datetime, datetime, list[datetime]]:
    """The hours that are whole or cut within, and each hour that an edge cuts."""
    cut = sorted({hour_of(edge) for edge in edges if hour_of(edge) != edge})
    first = hour_of(edges[0])
    first = first if first == edges[0] else first + _HOUR
    return first, max(hour_of(edges[-1]), first), cut


def _selected(
    table: Table,
    place_of: ColumnElement[Any],
    names: Iterable[str],
    sums: Iterable[str],
    sign: int,
) -> Select[Any]:
    amounts = {name: _amount(table, name) for name in sums}
    return select(
        place_of,
        *(column(table, name).label(name) for name in names),
        *((one if sign > 0 else -one).label(name) for name, one in amounts.items()),
    )


def _amount(table: Table, name: str) -> ColumnElement[Any]:
    if table is HOURLY:
        return conditional(table, name)
    if name in table.c and table is not USAGE:
        return table.c[name]
    if name not in CONDITIONAL:
        return amount(name)
    inner, condition = CONDITIONAL[name]
    is_met = {
        "failed": USAGE.c.error_class != ErrorClass.NONE.value,
        "estimated": group_column("is_estimated"),
    }
    return case((is_met[condition], amount(inner)), else_=literal_column("0"))


def summed(source: Subquery, sums: Iterable[str]) -> list[ColumnElement[Any]]:
    """Each amount's sum, 0 of nothing."""
    return [func.sum(source.c[name]).label(name) for name in sums]
