"""A person's rows in SQL: counted, told, and taken out.

An erasure goes through the tables in short transactions, some rows at a time, so that a service
that runs goes on. The sums by hour, and those by day with them, move under the pseudonym with their
amounts unchanged: every sum over teams, models or months is the same before, meanwhile and after.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Table, delete, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from llm_core.policy.roles import Actor
from policy_service.adapters.sql.approvals import erasing
from policy_service.adapters.sql.audit import record
from policy_service.adapters.sql.engine import insert_into, reading, writing
from policy_service.adapters.sql.rolling import add_to_days, drop_emptied
from policy_service.adapters.sql.rollups import GROUP, SUMS, bucket_of
from policy_service.adapters.sql.tables import Base
from policy_service.ports.privacy import Erasure, Told

_TABLES = Base.metadata.tables
_HOURLY, _EVENTS = _TABLES["usage_hourly"], _TABLES["threshold_events"]
_ROWS_AT_ONCE = 2000
_GROUPS_AT_ONCE = 200


class _Named(NamedTuple):
    """A table whose rows name the user and have a moment, and what becomes of a row.

    Args:
        blanks: Columns that are set to null beside.
        is_kept: Whether the row stays, under the pseudonym.
    """

    table: Table
    blanks: tuple[str, ...] = ()
    is_kept: bool = True


_BY_MOMENT = (
    _Named(_TABLES["content_log"], is_kept=False),
    _Named(_TABLES["decisions"], blanks=("input",)),
    _Named(_TABLES["usage"]),
)


class SqlPersonalData:
    """Implements `ports.privacy.PersonalData` on PostgreSQL and SQLite."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self._engine = engine

    async def count(self, user: str) -> Mapping[str, int]:
        """How many rows name the user; see the port."""
        conditions = {one.table: one.table.c.user == user for one in _BY_MOMENT}
        conditions |= {_HOURLY: _HOURLY.c.user == user, _EVENTS: _of_user(user)}
        found: dict[str, int] = {}
        async with reading(self._engine) as connection:
            for table, is_theirs in conditions.items():
                query = select(func.count()).select_from(table).where(is_theirs)
                found[table.name] = int((await connection.execute(query)).scalar_one())
            return found | dict(await erasing.count(connection, user))

    async def erase(self, user: str, pseudonym: str, told: Told) -> Mapping[str, int]:
        """Delete, or put the pseudonym in the user's place; see the port."""
        found: dict[str, int] = {}
        for named in _BY_MOMENT:
            done = 0
            while changed := await self._some(named, user, pseudonym):
                done += changed
                told(named.table.name, done)
            found[named.table.name] = done
        done = 0
        while moved := await self._some_hourly(user, pseudonym):
            done += moved
            told(_HOURLY.name, done)
        found[_HOURLY.name] = done
        async with writing(self._engine) as connection:
            gone = await connection.execute(delete(_EVENTS).where(_of_user(user)))
            found[_EVENTS.name] = gone.rowcount
        async with writing(self._engine) as connection:
            return found | dict(await erasing.erase(connection, user, pseudonym))

    async def note(
        self, action: str, actor: Actor, erasure: Erasure, reason: str, organisation: str
    ) -> None:
        """Write it down, without naming the person; see the port."""
        told = {"pseudonym": erasure.pseudonym, "rows": dict(erasure.found), "reason": reason}
        async with writing(self._engine) as connection:
            await record(
                connection,
                actor,
                action,
                f"erasure:{erasure.id}",
                None,
                told,
                organisation=organisation or None,
            )

    async def note_export(self, actor: Actor, user: str, reason: str) -> None:
        """Write it down; see the port."""
        async with writing(self._engine) as connection:
            told = {"reason": reason}
            await record(connection, actor, "privacy.export", f"user:{user}", None, told)

    async def held(self, user: str) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
        """Every row on the user, table by table; see the port."""
        async with reading(self._engine) as connection:
            for place, table, is_theirs, left_out in _places(user):
                columns = [one.label(one.key) for one in table.c if one.key not in left_out]
                query = select(*columns).where(is_theirs)
                async for row in await connection.stream(query):
                    yield place, {name: _plain(value) for name, value in row._mapping.items()}

    async def _some(self, named: _Named, user: str, pseudonym: str) -> int:
        """Do the oldest rows of a table, a batch of about so many."""
        table = named.table
        is_theirs = table.c.user == user
        moments = select(table.c.at).where(is_theirs).order_by(table.c.at)
        async with writing(self._engine) as connection:
            last = moments.offset(_ROWS_AT_ONCE - 1).limit(1)
            until = (await connection.execute(last)).scalar_one_or_none()
            batch = is_theirs if until is None else is_theirs & (table.c.at <= until)
            if named.is_kept:
                values = {"user": pseudonym, **dict.fromkeys(named.blanks)}
                done = await connection.execute(update(table).where(batch).values(values))
            else:
                done = await connection.execute(delete(table).where(batch))
            return done.rowcount

    async def _some_hourly(self, user: str, pseudonym: str) -> int:
        """Move some sums to the pseudonym; their key is a digest with the user in it."""
        columns = [_HOURLY.c[name].label(name) for name in ("bucket", *GROUP, *SUMS)]
        query = select(*columns).where(_HOURLY.c.user == user).limit(_GROUPS_AT_ONCE)
        async with writing(self._engine) as connection:
            await _keep_writers_waiting(connection)
            found = [dict(row) for row in (await connection.execute(query)).mappings()]
            if not found:
                return 0
            taken = [{**row, **{name: -row[name] for name in SUMS}} for row in found]
            gone = [row["bucket"] for row in found]
            await connection.execute(delete(_HOURLY).where(_HOURLY.c.bucket.in_(gone)))
            for row in found:
                row["user"] = pseudonym
                row["bucket"] = bucket_of({name: row[name] for name in GROUP})
            insert = insert_into(connection, _HOURLY)
            added = {name: _HOURLY.c[name] + insert.excluded[name] for name in SUMS}
            adding = insert.on_conflict_do_update(index_elements=[_HOURLY.c.bucket], set_=added)
            await connection.execute(adding, found)
            await drop_emptied(connection, _HOURLY.name, found, SUMS)
            await add_to_days(connection, [*taken, *found], is_corrected=True)
            return len(found)


def _places(user: str) -> list[tuple[str, Table, ColumnElement[bool], frozenset[str]]]:
    """Where something on a user may stand: the place, its table, which rows, what is not told."""
    audit, grants, users = _TABLES["audit_log"], _TABLES["role_grants"], _TABLES["users"]
    keys, consumers = _TABLES["api_keys"], _TABLES["kong_consumers"]
    content, subject = _TABLES["content_log"], f"user:{user}"
    nothing: frozenset[str] = frozenset()
    words = frozenset({"question", "answer", "sealed_question", "sealed_answer"})
    return [
        ("account", users, users.c.id == user, nothing),
        ("roles", grants, grants.c.subject == subject, nothing),
        ("keys", keys, keys.c.user == user, frozenset({"digest", "former_digest"})),
        ("consumers", consumers, consumers.c.user == user, nothing),
        ("usage", _TABLES["usage"], _TABLES["usage"].c.user == user, nothing),
        ("decisions", _TABLES["decisions"], _TABLES["decisions"].c.user == user, nothing),
        ("content", content, content.c.user == user, words),
        ("alerts", _EVENTS, _of_user(user), nothing),
        ("approvals", erasing.REQUESTS, erasing.of_user(user), nothing),
        ("audit", audit, or_(audit.c.subject == subject, audit.c.actor == subject), nothing),
    ]


def _of_user(user: str) -> ColumnElement[bool]:
    return _EVENTS.c.node == f"user:{user}"


async def _keep_writers_waiting(connection: AsyncConnection) -> None:
    """Sums change place here: nobody may add to one that is on its way."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("LOCK TABLE usage_hourly IN SHARE ROW EXCLUSIVE MODE"))


def _plain(value: object) -> object:
    """JSON's types: money and moments as text."""
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value
