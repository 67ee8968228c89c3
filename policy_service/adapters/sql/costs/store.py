"""Implements `ports.costs.Costs` on PostgreSQL and SQLite."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Double,
    FromClause,
    Label,
    RowMapping,
    Select,
    Text,
    cast,
    func,
    literal_column,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.policy.limits import Measure
from policy_service.adapters.sql.costs.facts import (
    Placed,
    by_hour,
    by_span,
    daily_table,
    facts,
    has_calls,
    summed,
)
from policy_service.adapters.sql.engine import prepare_to_sum, reading
from policy_service.adapters.sql.tables import LimitRaise, LimitRow, OrganisationUnit
from policy_service.ports.costs import (
    ALL,
    Active,
    Dimension,
    Group,
    Hour,
    Names,
    Order,
    Page,
    Scope,
    Sums,
    Zone,
)

_SUMS = tuple(field.name for field in fields(Sums))
_MONEY = ("usd", "saved_usd", "routing_saved_usd", "estimated_usd")
_WHO = ("user", "application", "team")
_ALWAYS = "team"
"""Of these, what every call has."""
_WHOLE = -1
_FEW_SPANS = 14


class SqlCosts:
    """Answers from the roll-ups, to the last digit of the ledger."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self._engine = engine

    async def sums(
        self,
        scope: Scope,
        edges: Sequence[datetime],
        group_by: Sequence[Dimension] = (),
        page: Page = ALL,
    ) -> tuple[Group, ...]:
        """Sums by span and group; see the port."""
        statement = _grouped(scope, edges, by_span(edges), group_by, page)
        rows = await self._rows(statement)
        return tuple(_group(row, int(row["place"]), group_by) for row in rows)

    async def hourly_sums(
        self,
        scope: Scope,
        start: datetime,
        end: datetime,
        group_by: Sequence[Dimension],
        page: Page = ALL,
    ) -> tuple[tuple[datetime, Group], ...]:
        """As `sums`, by full hours of UTC; see the port."""
        statement = _grouped(scope, (start, end), by_hour, group_by, page)
        rows = await self._rows(statement)
        return tuple((row["place"], _group(row, 0, group_by)) for row in rows)

    async def hours(self, scope: Scope, start: datetime, end: datetime) -> tuple[Hour, ...]:
        """By full hour, the oldest first; see the port."""
        names = ("requests", "input_tokens", "output_tokens", "usd")
        source = facts(scope, (start, end), by_hour, (), names)
        hour = source.c.place
        statement = select(hour, *summed(source, names)).group_by(hour).order_by(hour)
        return tuple(
            Hour(
                row["place"],
                int(row["requests"]),
                int(row["input_tokens"]) + int(row["output_tokens"]),
                row["usd"],
            )
            for row in await self._rows(statement)
        )

    async def active(self, scope: Scope, edges: Sequence[datetime]) -> tuple[Active, ...]:
        """Who used anything; see the port."""
        counts: list[Any] = []
        callers = _callers(scope, edges)
        for name in _WHO:
            source = callers(name)
            key = source.c.place, source.c[name]
            # Telling names apart by grouping takes no sorting, which `count(distinct ...)` does.
            calls = _calls(source)
            each = select(*key, calls).group_by(*key).having(calls != literal_column("0"))
            each_one = each.cte(f"each_{name}")
            whole = select(each_one.c[name]).distinct().subquery()
            place_of = each_one.c.place
            counts += [
                select(_told(name), place_of, func.count(each_one.c[name]).label("count")).group_by(
                    place_of
                ),
                select(_told(name), literal_column(str(_WHOLE)), func.count(whole.c[name])),
            ]
            if name == _ALWAYS:
                counts.append(
                    select(_told("requests"), place_of, func.sum(each_one.c.requests)).group_by(
                        place_of
                    )
                )
        spans: dict[int, dict[str, int]] = {_WHOLE: {"requests": 0}}
        for row in await self._rows(union_all(*counts)):
            spans.setdefault(int(row["place"]), {})[row["told"]] = int(row["count"])
        spans[_WHOLE]["requests"] = sum(one["requests"] for one in spans.values())
        return tuple(
            Active(span, found["user"], found["application"], found["team"], found["requests"])
            for span, found in sorted(spans.items())
        )

    async def usd(
        self, scope: Scope, edges: Sequence[datetime], group_by: Sequence[Dimension] = ()
    ) -> dict[tuple[int, Names], Decimal]:
        """The spend alone; see the port."""
        source = facts(scope, edges, by_span(edges), group_by, ("usd",))
        key = [source.c.place, *(source.c[name] for name in group_by)]
        statement = select(*key, *summed(source, ("usd",))).group_by(*key)
        statement = statement.having(has_calls(source))
        rows = await self._rows(statement)
        return {
            (int(row["place"]), tuple(row[name] for name in group_by)): row["usd"] for row in rows
        }

    async def monthly_budget(self, node: str, now: datetime) -> Decimal | None:
        """The USD that a node may spend in this month; see the port."""
        of_month = Measure.USD_PER_MONTH.value
        limit = select(LimitRow.amount).where(
            LimitRow.node == node, LimitRow.scope == "", LimitRow.measure == of_month
        )
        raised = select(LimitRaise.amount).where(
            LimitRaise.node == node,
            LimitRaise.scope == "",
            LimitRaise.measure == of_month,
            LimitRaise.starts_at <= now,
            LimitRaise.until > now,
            LimitRaise.withdrawn_at.is_(None),
        )
        async with reading(self._engine) as connection:
            amount: Decimal | None = (await connection.execute(limit)).scalar_one_or_none()
            more = (await connection.execute(raised)).scalars().all()
        return None if amount is None else amount + sum(more, Decimal(0))

    async def zones(self) -> tuple[Zone, ...]:
        """Every organisation's time zone; see the port."""
        statement = select(OrganisationUnit.id, OrganisationUnit.time_zone)
        async with reading(self._engine) as connection:
            found = (await connection.execute(statement.order_by(OrganisationUnit.id))).all()
        return tuple(Zone(row[0], row[1]) for row in found)

    async def _rows(self, statement: Any) -> Sequence[RowMapping]:  # noqa: ANN401 - select or union
        async with reading(self._engine) as connection:
            await prepare_to_sum(connection)
            return (await connection.execute(statement)).mappings().all()


def _callers(scope: Scope, edges: Sequence[datetime]) -> Callable[[str], FromClause]:
    """Rows with place, a name's values and requests, for each name.

    Grouping first by all names makes few of many rows, unless each day is for itself: then hardly
    fewer, and it is quicker to look at the sums by day once for each name.
    """
    of_one = partial(facts, scope, edges, by_span(edges), sums=("requests",))
    has_days = daily_table(scope, _WHO, ("requests",)) is not None
    if has_days and len(edges) > _FEW_SPANS:
        return lambda name: of_one(dimensions=(name,))
    source = of_one(dimensions=_WHO)
    key = [source.c.place, *(source.c[name] for name in _WHO)]
    once = select(*key, _calls(source)).group_by(*key).cte("callers")
    return lambda _: once


def _calls(source: FromClause) -> Label[float]:
    """How many; a double holds every count that there can be, and is summed in half the time."""
    return func.sum(cast(source.c.requests, Double)).label("requests")


def _told(name: str) -> ColumnElement[str]:
    return literal_column(f"'{name}'", Text).label("told")


def _grouped(
    scope: Scope,
    edges: Sequence[datetime],
    placed: Placed,
    group_by: Sequence[Dimension],
    page: Page,
) -> Select[Any]:
    source = facts(scope, edges, placed, group_by, _SUMS)
    names = [source.c[name] for name in group_by]
    key = [source.c.place, *names]
    sums = summed(source, _SUMS)
    dearest = func.sum(source.c.usd).desc()
    by: dict[Order, list[Any]] = {
        Order.USD: [dearest, source.c.place],
        Order.NAME: [*(name.nulls_first() for name in names), source.c.place],
        Order.START: [source.c.place, dearest],
    }
    # Whatever the order, it is complete, so that a page begins where the last one ended.
    rest = [source.c.place, *(name.nulls_first() for name in names)]
    statement = select(*key, *sums).group_by(*key).having(has_calls(source))
    statement = statement.order_by(*by[page.order], *rest)
    return statement.limit(page.limit).offset(page.offset)


def _group(row: RowMapping, span: int, group_by: Sequence[Dimension]) -> Group:
    amounts: dict[str, Any] = {
        name: row[name] if name in _MONEY else int(row[name]) for name in _SUMS
    }
    return Group(span, {str(name): row[name] for name in group_by}, Sums(**amounts))
