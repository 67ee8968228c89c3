"""The outbox of notices in SQL: each is handed out to one process at a time."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import RowMapping, and_, delete, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.alerts.incident import Incident, Notice, NoticeEvent
from policy_service.adapters.sql.engine import reading, writing
from policy_service.adapters.sql.incidents import OUTBOX

_EARLIER = OUTBOX.alias("earlier")
_LONGEST_FAULT = 400
_FREE = {"claimed_by": None, "claimed_until": None}


class SqlOutbox:
    """Implements `ports.Outbox` on PostgreSQL and SQLite."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self._engine = engine

    async def claim(
        self, channels: Collection[str], owner: str, now: datetime, until: datetime, most: int
    ) -> Sequence[Notice]:
        """See `Outbox.claim`: rows that another process is just claiming are passed over."""
        if not await self._has_due(channels, now):
            return []  # most of the time there is nothing, and nobody need wait for the lock
        is_free = or_(OUTBOX.c.claimed_until.is_(None), OUTBOX.c.claimed_until < now)
        is_behind = exists().where(
            _EARLIER.c.incident_id == OUTBOX.c.incident_id,
            _EARLIER.c.channel == OUTBOX.c.channel,
            _EARLIER.c.sent_at.is_(None),
            _EARLIER.c.seq < OUTBOX.c.seq,
            or_(_EARLIER.c.is_urgent, ~OUTBOX.c.is_urgent),
        )
        due = and_(OUTBOX.c.sent_at.is_(None), OUTBOX.c.due_at <= now, is_free, ~is_behind)
        query = (
            select(OUTBOX)
            .where(due, OUTBOX.c.channel.in_(sorted(channels)))
            .order_by(OUTBOX.c.seq)
            .limit(most)
            .with_for_update(skip_locked=True, of=OUTBOX)
        )
        async with writing(self._engine) as connection:
            rows = (await connection.execute(query)).mappings().all()
            if rows:
                await connection.execute(
                    update(OUTBOX)
                    .where(OUTBOX.c.seq.in_([row["seq"] for row in rows]))
                    .values(claimed_by=owner, claimed_until=until)
                )
        return [_notice_of(row) for row in rows]

    async def _has_due(self, channels: Collection[str], now: datetime) -> bool:
        due = exists().where(
            OUTBOX.c.sent_at.is_(None),
            OUTBOX.c.due_at <= now,
            OUTBOX.c.channel.in_(sorted(channels)),
        )
        async with reading(self._engine) as connection:
            return bool((await connection.execute(select(due))).scalar_one())

    async def sent(self, notice_ids: Sequence[str], now: datetime) -> None:
        """See `Outbox.sent`."""
        statement = (
            update(OUTBOX)
            .where(OUTBOX.c.id.in_(notice_ids), OUTBOX.c.sent_at.is_(None))
            .values(sent_at=now, fault=None, **_FREE)
        )
        async with writing(self._engine) as connection:
            await connection.execute(statement)

    async def failed(self, notice: Notice, owner: str, due_at: datetime, why: str) -> None:
        """See `Outbox.failed`; a no-op once somebody else has claimed it."""
        statement = (
            update(OUTBOX)
            .where(OUTBOX.c.id == notice.id, OUTBOX.c.claimed_by == owner)
            .values(
                due_at=due_at,
                attempts=OUTBOX.c.attempts + 1,
                fault=why[:_LONGEST_FAULT],
                **_FREE,
            )
        )
        async with writing(self._engine) as connection:
            await connection.execute(statement)

    async def waiting(self) -> Mapping[str, int]:
        """See `Outbox.waiting`."""
        query = (
            select(OUTBOX.c.channel, func.count())
            .where(OUTBOX.c.sent_at.is_(None))
            .group_by(OUTBOX.c.channel)
        )
        async with reading(self._engine) as connection:
            return {channel: int(count) for channel, count in await connection.execute(query)}

    async def forget(self, before: datetime) -> int:
        """See `Outbox.forget`."""
        async with writing(self._engine) as connection:
            done = await connection.execute(delete(OUTBOX).where(OUTBOX.c.sent_at < before))
        return done.rowcount


def _notice_of(row: RowMapping) -> Notice:
    return Notice(
        id=row["id"],
        channel=row["channel"],
        event=NoticeEvent(row["event"]),
        at=row["at"],
        incident=msgspec.convert(row["incident"], Incident),
        attempts=row["attempts"],
    )
