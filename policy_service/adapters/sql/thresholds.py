"""Alerts in SQL: the primary key sees to it that each is noted once, over all processes."""

from collections.abc import Collection
from dataclasses import fields, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.policy.limits import Limit
from policy_service.adapters.sql.engine import insert_into, reading, writing
from policy_service.adapters.sql.tables import Base, LimitRaise, LimitRow, ThresholdEvent
from policy_service.adapters.sql.visible_nodes import at_or_below
from policy_service.ports.alerts import Alert, Passed

_EVENTS = Base.metadata.tables["threshold_events"]
_FIELDS = tuple(field.name for field in fields(Alert))


class SqlAlerts:
    """Implements `ports.Alerts` on PostgreSQL and SQLite."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self._engine = engine

    async def whole(self, limit: Limit, now: datetime) -> Limit | None:
        """See `Alerts.whole`."""
        row = select(LimitRow.amount).where(
            LimitRow.node == limit.node,
            LimitRow.scope == limit.scope,
            LimitRow.measure == limit.measure.value,
        )
        more = select(LimitRaise.amount).where(
            LimitRaise.node == limit.node,
            LimitRaise.scope == limit.scope,
            LimitRaise.measure == limit.measure.value,
            LimitRaise.starts_at <= now,
            LimitRaise.until > now,
            LimitRaise.withdrawn_at.is_(None),
        )
        async with reading(self._engine) as connection:
            amount = (await connection.execute(row)).scalar_one_or_none()
            if amount is None:
                return None
            raised = sum((await connection.execute(more)).scalars(), Decimal(0))
        return replace(limit, amount=amount + raised, interactive_share=Decimal(0), raises=())

    async def add(self, alert: Alert) -> bool:
        """See `Alerts.add`."""
        async with writing(self._engine) as connection:
            statement = (
                insert_into(connection, _EVENTS)
                .values({name: getattr(alert, name) for name in _FIELDS})
                .on_conflict_do_nothing()
                .returning(_EVENTS.c.percent)
            )
            return (await connection.execute(statement)).first() is not None

    async def told(self, alert: Alert) -> None:
        """See `Alerts.told`."""
        statement = (
            update(ThresholdEvent)
            .where(
                ThresholdEvent.limit_key == alert.limit_key,
                ThresholdEvent.period == alert.period,
                ThresholdEvent.percent == alert.percent,
            )
            .values(is_told=True)
        )
        async with writing(self._engine) as connection:
            await connection.execute(statement)

    async def untold(self, before: datetime, most: int) -> tuple[Alert, ...]:
        """See `Alerts.untold`."""
        return await self._found(
            _alerts()
            .where(ThresholdEvent.is_told.is_(False), ThresholdEvent.at < before)
            .order_by(ThresholdEvent.at)
            .limit(most)
        )

    async def recent(
        self,
        most: int,
        nodes: Collection[str] | None = None,
        *,
        after: Passed | None = None,
    ) -> tuple[Alert, ...]:
        """See `Alerts.recent`; `nodes` stand for everything below them as well."""
        place = [_EVENTS.c[name] for name in ("at", "percent", "limit_key", "period")]
        query = _alerts().order_by(*(one.desc() for one in place))
        if after is not None:
            query = query.where(tuple_(*place) < after)
        if nodes is not None:
            query = query.where(at_or_below(nodes, ThresholdEvent.node))
        return await self._found(query.limit(most))

    async def _found(self, query: Select[Any]) -> tuple[Alert, ...]:
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).mappings().all()
        return tuple(Alert(**{name: row[name] for name in _FIELDS}) for row in rows)


def _alerts() -> Select[Any]:
    return select(ThresholdEvent)
