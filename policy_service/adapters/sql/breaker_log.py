"""The history of breakers in SQL."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.routing.facts import BreakerState
from llm_core.routing.transitions import Cause
from policy_service.adapters.sql.engine import insert_into, reading, writing
from policy_service.adapters.sql.tables import Base
from policy_service.ports.breakers import BreakerTransition, TransitionFilter

_TABLE = Base.metadata.tables["breaker_transitions"]
_FIELDS = tuple(field.name for field in fields(BreakerTransition))
_AT_ONCE = 5000


class SqlBreakerLog:
    """Implements `ports.breakers.BreakerLog` on PostgreSQL and SQLite."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self._engine = engine

    async def record(self, transitions: Sequence[BreakerTransition]) -> None:
        """Write these down, in the order of their ids, so that two processes do not lock."""
        if not transitions:
            return
        ordered = sorted(transitions, key=lambda one: one.id)
        rows = [{name: getattr(one, name) for name in _FIELDS} for one in ordered]
        async with writing(self._engine) as connection:
            insert = insert_into(connection, _TABLE).on_conflict_do_nothing()
            await connection.execute(insert, rows)

    async def read(
        self,
        wanted: TransitionFilter,
        *,
        after: tuple[datetime, str] | None = None,
        limit: int,
    ) -> Sequence[BreakerTransition]:
        """See `BreakerLog.read`."""
        columns = [_TABLE.c[name].label(name) for name in _FIELDS]
        place = (_TABLE.c.at, _TABLE.c.id)
        query = select(*columns).order_by(*(one.desc() for one in place)).limit(limit)
        if wanted.since is not None:
            query = query.where(_TABLE.c.at >= wanted.since)
        if wanted.until is not None:
            query = query.where(_TABLE.c.at < wanted.until)
        if wanted.providers:
            query = query.where(_TABLE.c.provider.in_(wanted.providers))
        if wanted.deployments:
            query = query.where(_TABLE.c.deployment_id.in_(wanted.deployments))
        if after is not None:
            query = query.where(tuple_(*place) < after)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [_transition(row) for row in rows]

    async def forget(self, before: datetime) -> int:
        """Drop those of before then, some at a time."""
        some = select(_TABLE.c.id).where(_TABLE.c.at < before).limit(_AT_ONCE)
        dropped = 0
        while True:
            async with writing(self._engine) as connection:
                done = await connection.execute(delete(_TABLE).where(_TABLE.c.id.in_(some)))
            dropped += done.rowcount
            if done.rowcount < _AT_ONCE:
                return dropped


def _transition(row: RowMapping) -> BreakerTransition:
    values: dict[str, Any] = dict(row)
    values["before"] = BreakerState(row["before"])
    values["after"] = BreakerState(row["after"])
    values["reason"] = Cause(row["reason"])
    return BreakerTransition(**values)
