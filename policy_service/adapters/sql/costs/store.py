"""Implements `ports.costs.Costs` on PostgreSQL and SQLite."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import RowMapping, Select, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.policy.limits import Measure
from policy_service.adapters.sql.costs import active
from policy_service.adapters.sql.costs.facts import (
    Placed,
    by_hour,
    by_span,
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
        if inner := active.full_days(scope, edges):
            rows = await self._rows(active.by_looking(scope, edges, inner))
            found = {row["told"]: int(row["count"] or 0) for row in rows}
            spans = {active.WHOLE: found, **({0: found} if found[active.REQUESTS] else {})}
        else:
            spans = {active.WHOLE: {active.REQUESTS: 0}}
            for row in await self._rows(active.by_place(scope, edges)):
                spans.setdefault(int(row["place"]), {})[row["told"]] = int(row["count"])
            spans[active.WHOLE][active.REQUESTS] = sum(one["requests"] for one in spans.values())
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
