"""Requests by actor and key: the primary key sees to it that each is begun once."""

from datetime import datetime

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from policy_service.adapters.sql.engine import insert_into, writing
from policy_service.adapters.sql.tables import Base
from policy_service.ports.idempotency import KEPT_FOR, KeptAnswer, Outcome, Remembered

_REQUESTS = Base.metadata.tables["idempotency_keys"]


class SqlIdempotency:
    """Implements `ports.idempotency.Idempotency` on PostgreSQL and SQLite."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self._engine = engine

    async def claim(self, actor: str, key: str, digest: str, now: datetime) -> Remembered | None:
        """Begin a request, or be told of the one before; what is too old goes."""
        fresh = {
            "actor": actor,
            "key": key,
            "digest": digest,
            "at": now,
            "outcome": Outcome.UNDER_WAY.value,
        }
        async with writing(self._engine) as connection:
            await connection.execute(delete(_REQUESTS).where(_REQUESTS.c.at <= now - KEPT_FOR))
            made = await connection.execute(
                insert_into(connection, _REQUESTS)
                .values(fresh)
                .on_conflict_do_nothing()
                .returning(_REQUESTS.c.key)
            )
            if made.first() is not None:
                return None
            found = await connection.execute(select(_REQUESTS).where(*_named(actor, key)))
            row = found.first()
        if row is None:
            # The other one was begun and forgotten between the two statements.
            return Remembered(digest, now, Outcome.UNDER_WAY)
        answer = None
        if row.status is not None:
            answer = KeptAnswer(row.status, row.body, row.media_type)
        return Remembered(row.digest, row.at, Outcome(row.outcome), answer, row.location)

    async def finish(
        self,
        actor: str,
        key: str,
        outcome: Outcome,
        answer: KeptAnswer | None = None,
        location: str | None = None,
    ) -> None:
        """Say what became of it."""
        values: dict[str, object] = {"outcome": outcome.value, "location": location}
        if answer is not None:
            values |= {
                "status": answer.status,
                "body": answer.body,
                "media_type": answer.media_type,
            }
        async with writing(self._engine) as connection:
            await connection.execute(update(_REQUESTS).where(*_named(actor, key)).values(values))

    async def forget(self, actor: str, key: str) -> None:
        """Nothing was done."""
        async with writing(self._engine) as connection:
            await connection.execute(delete(_REQUESTS).where(*_named(actor, key)))


def _named(actor: str, key: str) -> tuple[ColumnElement[bool], ...]:
    return _REQUESTS.c.actor == actor, _REQUESTS.c.key == key
