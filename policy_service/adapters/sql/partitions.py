"""The ledger's months: on PostgreSQL each is a partition of `usage`, on SQLite it is just its rows.

A month's partition is made before the month begins. A row of a month without one goes to the
default partition, so that no row is ever refused: one of a service whose upkeep has stood still for
months, or whose clock is wrong. When the month's own partition is made, its rows are moved there.

See https://www.postgresql.org/docs/15/ddl-partitioning.html (checked 2026-11-21).
"""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from policy_service.adapters.sql.backfill import remake
from policy_service.adapters.sql.dialects import MonthName
from policy_service.adapters.sql.engine import reading, writing
from policy_service.adapters.sql.months import month_named, months_before, months_from
from policy_service.adapters.sql.tables import Base
from policy_service.ports.upkeep import FEWEST_MONTHS, Remade

_USAGE = Base.metadata.tables["usage"]
_HOURLY = Base.metadata.tables["usage_hourly"]
_DEFAULT = "usage_default"
_PARTITION = re.compile(r"usage_(?:default|(?P<year>[0-9]{4})_(?P<month>[0-9]{2}))")
_AHEAD = 3
_LOCK = 0x75736167  # "usag"; any number that nobody else takes in this database
_LOCK_WAIT_S = 5
_PARTITIONS = text(
    "SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid "
    "WHERE inhparent = 'usage'::regclass"
)


class SqlUpkeep:
    """Implements `ports.Upkeep` on PostgreSQL and SQLite."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self._engine = engine
        self._is_partitioned = engine.dialect.name == "postgresql"

    async def make_room(self, now: datetime) -> tuple[str, ...]:
        """Make the partitions of this month and the next two; see the port."""
        if not self._is_partitioned:
            return ()
        wanted = [_name(first) for first, _ in months_from(now, _AHEAD)]
        async with reading(self._engine) as connection:
            if not await _missing(connection, wanted):
                return ()
        async with writing(self._engine) as connection:
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            await _wait_shortly(connection)
            made = await _missing(connection, wanted)
            for month in made:
                await _make_partition(connection, month)
        return tuple(made)

    async def drop_old(self, now: datetime, kept_months: int) -> tuple[str, ...]:
        """Drop old partitions, and old rows of the default one; see the port."""
        if kept_months < FEWEST_MONTHS:
            raise ValueError(f"keep {FEWEST_MONTHS} months or more: budgets look back 30 days")
        first = months_before(now, kept_months)
        oldest_kept = _name(first)
        async with reading(self._engine) as connection:
            partitions = await _partitions(connection) if self._is_partitioned else set()
            rows = select(MonthName(_USAGE.c.at)).where(_USAGE.c.at < first).distinct()
            filled = set((await connection.execute(rows)).scalars())
        old = {month for month in partitions if month < oldest_kept}
        for month in sorted(old):
            await self._drop_partition(month)
        if rest := filled - old:
            async with writing(self._engine) as connection:
                await connection.execute(delete(_USAGE).where(_USAGE.c.at < first))
            old |= rest
        return tuple(sorted(old))

    async def remake_rollups(self, month: str, *, may_shrink: bool = False) -> Remade:
        """Make a month's roll-ups from its rows; see the port."""
        first, end = month_named(month)
        async with writing(self._engine) as connection:
            return await remake(connection, first, end, may_shrink=may_shrink)

    async def months(self) -> tuple[str, ...]:
        """The months that rows or roll-ups are there for; see the port."""
        found: set[str] = set()
        async with reading(self._engine) as connection:
            for moment in (_USAGE.c.at, _HOURLY.c.hour):
                ends = await connection.execute(select(func.min(moment), func.max(moment)))
                oldest, newest = ends.one()
                found |= set(_between(oldest, newest))
        return tuple(sorted(found))

    async def _drop_partition(self, month: str) -> None:
        async with writing(self._engine) as connection:
            # It waits for the queries that run, and new ones wait behind it.
            await _wait_shortly(connection)
            await connection.execute(text(f"DROP TABLE IF EXISTS {_table(month)}"))


def is_partition(table: str) -> bool:
    """Whether a table of the database is a part of `usage`, and none that the code maps."""
    return _PARTITION.fullmatch(table) is not None


def _between(oldest: datetime | None, newest: datetime | None) -> Iterable[str]:
    while oldest is not None and newest is not None and oldest <= newest:
        [(first, oldest)] = months_from(oldest, 1)
        yield _name(first)


async def _missing(connection: AsyncConnection, wanted: Iterable[str]) -> list[str]:
    known = await _partitions(connection)
    return [month for month in wanted if month not in known]


async def _partitions(connection: AsyncConnection) -> set[str]:
    """Months that have a partition."""
    names: Iterable[str] = (await connection.execute(_PARTITIONS)).scalars()
    matches = [_PARTITION.fullmatch(name) for name in names]
    return {f"{one['year']}-{one['month']}" for one in matches if one and one["year"]}


async def _make_partition(connection: AsyncConnection, month: str) -> None:
    """Make a partition, with the rows of its month that lie in the default one.

    It is filled before it is attached. Attaching lets others read and write meanwhile; making it in
    its place would stop them all.
    """
    table, (first, end) = _table(month), month_named(month)
    of_month = f"WHERE at >= '{first}' AND at < '{end}'"
    for statement in (
        f"LOCK TABLE {_DEFAULT} IN ACCESS EXCLUSIVE MODE",
        f"CREATE TABLE {table} (LIKE usage INCLUDING DEFAULTS)",
        f"INSERT INTO {table} SELECT * FROM {_DEFAULT} {of_month}",  # noqa: S608 - our own dates
        f"DELETE FROM {_DEFAULT} {of_month}",  # noqa: S608 - our own dates
        f"ALTER TABLE usage ATTACH PARTITION {table} FOR VALUES FROM ('{first}') TO ('{end}')",
    ):
        await connection.execute(text(statement))


async def _wait_shortly(connection: AsyncConnection) -> None:
    """Give up rather than let the whole service wait behind somebody's long query."""
    await connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_WAIT_S}s'"))


def _table(month: str) -> str:
    return f"usage_{month.replace('-', '_')}"


def _name(first: datetime) -> str:
    return f"{first:%Y-%m}"


def include_name(name: str | None, type_: str, _parents: Any) -> bool:  # noqa: ANN401
    """For Alembic: partitions belong to `usage` and are compared with nothing."""
    return not (type_ == "table" and name is not None and is_partition(name))
