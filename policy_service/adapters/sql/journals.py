"""How the plugins' journals stand, in SQL: one row for each."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import RowMapping, and_, case, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.policy.journal_standing import JournalStanding
from policy_service.adapters.sql.engine import insert_into, reading, writing
from policy_service.adapters.sql.tables import Base
from policy_service.ports.journals import HeardJournal

_TABLE = Base.metadata.tables["plugin_journals"]
BREAK: Final = timedelta(minutes=3)
"""Who was silent for longer begins anew: the service was away, or the host was. While reports
wait they are sent again and again, and each try says so."""


class SqlJournals:
    """Implements `ports.journals.Journals` on PostgreSQL and SQLite."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self._engine = engine

    async def hear(self, standing: JournalStanding, at: datetime) -> None:
        """See `Journals.hear`."""
        told = {
            "waiting": standing.waiting,
            "oldest_s": standing.oldest_s,
            "is_full": standing.is_full,
            "heard_at": at,
        }
        was_calm = and_(_TABLE.c.waiting == 0, _TABLE.c.is_full.is_(False))
        begins = or_(was_calm, _TABLE.c.heard_at < at - BREAK)
        since = case((begins, at), else_=_TABLE.c.since)
        async with writing(self._engine) as connection:
            statement = (
                insert_into(connection, _TABLE)
                .values(name=standing.name, since=at, **told)
                .on_conflict_do_update(
                    index_elements=["name"],
                    set_={**told, "since": since},
                    where=_TABLE.c.heard_at < at,
                )
            )
            await connection.execute(statement)

    async def newest(self, since: datetime) -> Sequence[HeardJournal]:
        """See `Journals.newest`."""
        query = select(*_TABLE.c).where(_TABLE.c.heard_at >= since).order_by(_TABLE.c.name)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [_heard(row) for row in rows]

    async def forget(self, before: datetime) -> None:
        """See `Journals.forget`."""
        async with writing(self._engine) as connection:
            await connection.execute(delete(_TABLE).where(_TABLE.c.heard_at < before))


def _heard(row: RowMapping) -> HeardJournal:
    standing = JournalStanding(row["name"], row["waiting"], row["oldest_s"], row["is_full"])
    return HeardJournal(standing, row["heard_at"], row["since"])
