"""The content log in SQL."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime, timedelta

from sqlalchemy import and_, bindparam, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.policy.roles import Actor
from policy_service.adapters.sql.audit import record
from policy_service.adapters.sql.engine import insert_into, reading, writing
from policy_service.adapters.sql.spending import chunks
from policy_service.adapters.sql.tables import Base
from policy_service.adapters.sql.within import within
from policy_service.ports.content import ContentFacts, ContentRow

_CONTENT = Base.metadata.tables["content_log"]
_ROW = [_CONTENT.c[one.name].label(one.name) for one in fields(ContentRow)]
_FACTS = [_CONTENT.c[one.name].label(one.name) for one in fields(ContentFacts)]
_STANDS = {kind: _CONTENT.c[kind] for kind in ("organisation", "department", "team", "user")}
_MOST = 1001
"""A page of 1,000, and one more that tells of a next page."""
_DROPPED_AT_ONCE = 1000


class SqlContentLog:
    """Implements `ports.content.ContentStore` on PostgreSQL and SQLite."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self._engine = engine

    async def record(self, rows: Sequence[ContentRow]) -> None:
        """Write these down; see the port."""
        if not rows:
            return
        async with writing(self._engine) as connection:
            insert = insert_into(connection, _CONTENT).on_conflict_do_nothing()
            await connection.execute(insert, [asdict(row) for row in rows])

    async def find(self, decision_id: str, now: datetime) -> ContentRow | None:
        """One line; see the port."""
        query = select(*_ROW).where(_CONTENT.c.decision_id == decision_id)
        async with reading(self._engine) as connection:
            found = await connection.execute(query.where(_CONTENT.c.kept_until > now))
            row = found.mappings().one_or_none()
        return None if row is None else ContentRow(**row)

    async def note_read(self, row: ContentRow, actor: Actor, reason: str) -> None:
        """Write the reading down, in a transaction of its own; see the port."""
        told = {"reason": reason, "level": row.level, "team": row.team}
        async with writing(self._engine) as connection:
            await record(
                connection,
                actor,
                "content.read",
                f"content:{row.decision_id}",
                None,
                told,
                organisation=row.organisation,
            )

    async def facts(
        self,
        now: datetime,
        *,
        nodes: frozenset[str] | None = None,
        team: str | None = None,
        user: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: tuple[datetime, str] | None = None,
        limit: int = 100,
    ) -> tuple[ContentFacts, ...]:
        """The newest lines first, without their words; see the port."""
        columns = _CONTENT.c
        query = select(*_FACTS).where(columns.kept_until > now, within(nodes, _STANDS))
        for column, wanted in ((columns.team, team), (columns.user, user)):
            if wanted is not None:
                query = query.where(column == wanted)
        if since is not None:
            query = query.where(columns.at >= since)
        if until is not None:
            query = query.where(columns.at < until)
        if before is not None:
            at, decision_id = before
            query = query.where(
                or_(columns.at < at, and_(columns.at == at, columns.decision_id < decision_id))
            )
        query = query.order_by(columns.at.desc(), columns.decision_id.desc())
        async with reading(self._engine) as connection:
            found = await connection.execute(query.limit(min(max(limit, 1), _MOST)))
            return tuple(ContentFacts(**row) for row in found.mappings())

    async def drop_old(self, now: datetime, most_days: int | None = None) -> int:
        """Delete lines whose time is over, some at a time; see the port."""
        is_over = _CONTENT.c.kept_until <= now
        if most_days is not None:
            is_over = or_(is_over, _CONTENT.c.at <= now - timedelta(days=most_days))
        some = select(_CONTENT.c.decision_id).where(is_over).limit(_DROPPED_AT_ONCE)
        dropped = 0
        while True:
            async with writing(self._engine) as connection:
                ids = (await connection.execute(some)).scalars().all()
                for chunk in chunks(ids):
                    gone = delete(_CONTENT).where(_CONTENT.c.decision_id.in_(chunk))
                    await connection.execute(gone)
            dropped += len(ids)
            if len(ids) < _DROPPED_AT_ONCE:
                return dropped

    async def sealed_with_others(
        self, organisation: str | None, key_id: str, after: str, limit: int
    ) -> tuple[ContentRow, ...]:
        """Lines that another key than this has sealed, by decision id; for rotation.

        Args:
            organisation: Only its; `None` for all.
            key_id: Of the key that seals now.
            after: The decision id at which the last batch ended.
            limit: How many at most.
        """
        columns = _CONTENT.c
        query = select(*_ROW).where(columns.key_id.is_not(None), columns.key_id != key_id)
        query = query.where(columns.decision_id > after)
        if organisation is not None:
            query = query.where(columns.organisation == organisation)
        async with reading(self._engine) as connection:
            found = await connection.execute(query.order_by(columns.decision_id).limit(limit))
            return tuple(ContentRow(**row) for row in found.mappings())

    async def reseal(self, rows: Sequence[ContentRow]) -> None:
        """Put the sealed words of these lines in the place of those that are there."""
        if not rows:
            return
        names = ("sealed_question", "sealed_answer", "key_id")
        statement = (
            update(_CONTENT)
            .where(_CONTENT.c.decision_id == bindparam("which"))
            .values({name: bindparam(f"new_{name}") for name in names})
        )
        changes = [
            {"which": row.decision_id, **{f"new_{name}": getattr(row, name) for name in names}}
            for row in rows
        ]
        async with writing(self._engine) as connection:
            await connection.execute(statement, changes)
