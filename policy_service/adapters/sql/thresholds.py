"""Alerts in SQL: the primary key sees to it that each is noted once, over all processes."""

from collections.abc import Collection
from dataclasses import fields, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Select, literal, or_, select, union_all, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import InstrumentedAttribute

from llm_core.policy.limits import Limit
from policy_service.adapters.sql.engine import insert_into, reading, writing
from policy_service.adapters.sql.tables import (
    ApiKey,
    Application,
    Base,
    DepartmentUnit,
    LimitRaise,
    LimitRow,
    OrganisationUnit,
    ProjectUnit,
    TeamUnit,
    ThresholdEvent,
    User,
)
from policy_service.ports.alerts import Alert

_EVENTS = Base.metadata.tables["threshold_events"]
_FIELDS = tuple(field.name for field in fields(Alert))
_Below = tuple[str, type[Base], dict[str, str]]


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

    async def recent(self, most: int, nodes: Collection[str] | None = None) -> tuple[Alert, ...]:
        """See `Alerts.recent`; `nodes` stand for everything below them as well."""
        query = _alerts().order_by(ThresholdEvent.at.desc(), ThresholdEvent.percent.desc())
        if nodes is not None:
            query = query.where(_at_or_below(nodes))
        return await self._found(query.limit(most))

    async def _found(self, query: Select[Any]) -> tuple[Alert, ...]:
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).mappings().all()
        return tuple(Alert(**{name: row[name] for name in _FIELDS}) for row in rows)


def _alerts() -> Select[Any]:
    return select(ThresholdEvent)


_PARTS: tuple[_Below, ...] = (
    ("organisation", OrganisationUnit, {}),
    ("department", DepartmentUnit, {"organisation": "organisation_id"}),
    ("team", TeamUnit, {"department": "department_id"}),
    ("project", ProjectUnit, {"team": "team_id"}),
    ("application", Application, {"team": "team_id", "project": "project_id"}),
    (
        "user",
        User,
        {"organisation": "organisation_id", "team": "team_id", "project": "project_id"},
    ),
    ("key", ApiKey, {"team": "team_id", "project": "project_id"}),
)
"""Kinds of nodes from the top down, and what each names the ones above it by."""


def _at_or_below(nodes: Collection[str]) -> ColumnElement[bool]:
    visible: dict[str, Select[Any]] = {}
    for kind, table, above in _PARTS:
        ids = [node.partition(":")[2] for node in sorted(nodes) if node.startswith(f"{kind}:")]
        conditions = [_column(table, "id").in_(ids)]
        conditions += [_column(table, name).in_(visible[one]) for one, name in above.items()]
        visible[kind] = select(_column(table, "id")).where(or_(*conditions))
    named = [
        select((literal(f"{kind}:") + _column(table, "id")).label("node")).where(
            _column(table, "id").in_(visible[kind])
        )
        for kind, table, _ in _PARTS
    ]
    return ThresholdEvent.node.in_(union_all(*named))


def _column(table: type[Base], name: str) -> InstrumentedAttribute[str]:
    column: InstrumentedAttribute[str] = getattr(table, name)
    return column
