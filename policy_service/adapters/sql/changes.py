"""The audit log as its followers read it."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncEngine

from policy_service.adapters.sql.engine import reading
from policy_service.adapters.sql.tables import AuditEntry
from policy_service.ports.changes import Logged


class SqlChangeLog:
    """Implements `ports.ChangeLog` on PostgreSQL and SQLite."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self._engine = engine

    async def newest(self, most: int) -> Sequence[Logged]:
        """The entries with the largest numbers."""
        return await self._read(_entries().order_by(AuditEntry.seq.desc()).limit(most))

    async def after(self, seq: int, most: int) -> Sequence[Logged]:
        """Entries with numbers above `seq`, the smallest first."""
        return await self._read(
            _entries().where(AuditEntry.seq > seq).order_by(AuditEntry.seq).limit(most)
        )

    async def _read(self, statement: Select[Any]) -> Sequence[Logged]:
        async with reading(self._engine) as connection:
            found = await connection.execute(statement)
            return [Logged(row.seq, row.action, row.subject) for row in found]


def _entries() -> Select[Any]:
    statement: Select[Any] = select(AuditEntry.seq).add_columns(
        AuditEntry.action, AuditEntry.subject
    )
    return statement
