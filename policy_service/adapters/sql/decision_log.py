"""The decision log in SQL."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncEngine

from policy_service.adapters.sql.engine import insert_into, reading, writing
from policy_service.adapters.sql.tables import Base
from policy_service.ports.decision_log import LoggedDecision

_DECISIONS = Base.metadata.tables["decisions"]
_AT_ONCE = 5000
_FIELDS = tuple(field.name for field in fields(LoggedDecision))


class SqlDecisionLog:
    """Implements `DecisionLog` and `DecisionInputs` on PostgreSQL and SQLite."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self._engine = engine

    async def record(self, decisions: Sequence[LoggedDecision]) -> None:
        """Write these down; see the port."""
        if not decisions:
            return
        rows = [decision_row(one) for one in decisions]
        async with writing(self._engine) as connection:
            insert = insert_into(connection, _DECISIONS).on_conflict_do_nothing()
            await connection.execute(insert, rows)

    async def forget_inputs(self, before: datetime) -> int:
        """Forget what policy was asked before then, some at a time; see `DecisionInputs`."""
        old = (_DECISIONS.c.at < before) & _DECISIONS.c.input.is_not(None)
        some = select(_DECISIONS.c.decision_id).where(old).order_by(_DECISIONS.c.at).limit(_AT_ONCE)
        forgotten = 0
        while True:
            async with writing(self._engine) as connection:
                theirs = _DECISIONS.c.decision_id.in_(some)
                done = await connection.execute(update(_DECISIONS).where(theirs).values(input=None))
            forgotten += done.rowcount
            if done.rowcount < _AT_ONCE:
                return forgotten

    async def count(self, since: datetime, until: datetime) -> int:
        """How many were made in that time."""
        query = select(func.count()).select_from(_DECISIONS)
        query = query.where(_DECISIONS.c.at >= since, _DECISIONS.c.at < until)
        async with reading(self._engine) as connection:
            return int((await connection.execute(query)).scalar_one())

    async def find(self, decision_id: str) -> LoggedDecision | None:
        """One decision, if it is kept."""
        columns = [_DECISIONS.c[name].label(name) for name in _FIELDS]
        query = select(*columns).where(_DECISIONS.c.decision_id == decision_id)
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).mappings().first()
        return None if row is None else _decision(row)

    async def read(
        self, since: datetime, until: datetime, *, batch: int = 1000
    ) -> AsyncIterator[Sequence[LoggedDecision]]:
        """Those of that time, the oldest first; see the port."""
        key = tuple_(_DECISIONS.c.at, _DECISIONS.c.decision_id)
        columns = [_DECISIONS.c[name].label(name) for name in _FIELDS]
        query = select(*columns).where(_DECISIONS.c.at >= since, _DECISIONS.c.at < until)
        query = query.order_by(_DECISIONS.c.at, _DECISIONS.c.decision_id).limit(batch)
        after: tuple[Any, ...] | None = None
        while True:
            page = query if after is None else query.where(key > after)
            async with reading(self._engine) as connection:
                rows = (await connection.execute(page)).mappings().all()
            if rows:
                yield [_decision(row) for row in rows]
            if len(rows) < batch:
                return
            after = (rows[-1]["at"], rows[-1]["decision_id"])


def _decision(row: Mapping[Any, Any]) -> LoggedDecision:
    return LoggedDecision(**{**row, "codes": tuple(row["codes"])})


def decision_row(one: LoggedDecision) -> dict[str, Any]:
    """The row of a decision. `asdict` would copy the whole input, which takes 2 ms."""
    return {**{name: getattr(one, name) for name in _FIELDS}, "codes": list(one.codes)}
