"""Opens the database, and turns every failure of it into `PolicyUnavailable`.

PostgreSQL is for production. SQLite is for a laptop and a single machine: one writer at a time,
which `BEGIN IMMEDIATE` makes explicit so that two processes queue instead of failing half-way.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiosqlite
import asyncpg  # type: ignore[import-untyped] # ships no types
from sqlalchemy import Connection, Table, event, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from llm_core.errors import PolicyUnavailable

POOL_SIZE = 5
POOL_OVERFLOW = 10
_POOL_TIMEOUT_S = 5.0
_CONNECT_TIMEOUT_S = 5.0
STATEMENT_TIMEOUT_S = 30.0
_SQLITE_BUSY_MS = 10_000
_SQLITE_RETRY_S = 0.02
_WRITES = "gatehouse_writes"
_DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, sqlite3.Error)


def open_engine(
    url: str,
    *,
    pool_size: int = POOL_SIZE,
    statement_timeout_s: float | None = STATEMENT_TIMEOUT_S,
) -> AsyncEngine:
    """Make an engine; nothing is connected yet. `await engine.dispose()` closes it.

    Args:
        url: `postgresql+asyncpg://...` or `sqlite+aiosqlite:///file.db`; drivers may be left out.
        pool_size: Connections kept open; as many again and more may be open under load.
        statement_timeout_s: For each statement on PostgreSQL; `None` is for ever.

    Raises:
        ValueError: It is no URL, names another database, or SQLite in memory.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:  # its cause is left out: the URL can hold a password
        raise ValueError(
            "the database's URL cannot be read: write it as postgresql://user:password@host/name "
            "or sqlite:///gatehouse.db"
        ) from None
    match parsed.get_backend_name():
        case "postgresql":
            return _open_postgres(parsed, pool_size, statement_timeout_s)
        case "sqlite":
            return _open_sqlite(parsed)
        case other:
            raise ValueError(f"{other} is not supported: use PostgreSQL or SQLite")


@contextmanager
def database_errors() -> Iterator[None]:
    """Everything that a database or its driver raises becomes `PolicyUnavailable`."""
    try:
        yield
    # Drivers raise their own and the system's errors while connecting, outside SQLAlchemy's reach.
    except (*_DRIVER_ERRORS, SQLAlchemyError, OSError, OverflowError) as error:
        raise PolicyUnavailable("The gateway's database cannot be used right now.") from error


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction that only reads.

    Raises:
        PolicyUnavailable: The database failed.
    """
    with database_errors():
        async with engine.connect() as connection:
            yield connection


@asynccontextmanager
async def reading_one_moment(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """As `reading`, and every query of it sees the database as it was at the first one.

    SQLite's transactions are always so; PostgreSQL's queries else see what was committed between
    them (https://www.postgresql.org/docs/15/transaction-iso.html, checked 2026-11-21).

    Raises:
        PolicyUnavailable: The database failed.
    """
    with database_errors():
        async with engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                await connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection


async def prepare_to_sum(connection: AsyncConnection) -> None:
    """Let PostgreSQL add up many rows quickly, until the transaction ends.

    In memory; without compiling the statement first, which takes longer than it saves (1.4 s for
    30 days of active users); and by one process, for a page asks several questions at once, and
    handing groups from process to process takes more time than it wins.
    """
    if connection.dialect.name == "postgresql":
        settings = {"work_mem": "32MB", "jit": "off", "max_parallel_workers_per_gather": "0"}
        named = (func.set_config(name, value, True) for name, value in settings.items())
        await connection.execute(select(*named))


@asynccontextmanager
async def writing(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction that writes: committed at the end, undone by any exception.

    Raises:
        PolicyUnavailable: The database failed; nothing was written, or the commit's fate is
            unknown because the connection broke, so what is done here has to bear being repeated.
    """
    with database_errors():
        async with engine.connect() as connection:
            await connection.execution_options(**{_WRITES: True})
            async with connection.begin():
                yield connection


def insert_into(connection: AsyncConnection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that knows `on_conflict_*`, which both databases spell alike."""
    return insert_for(connection.dialect.name, table)


def insert_for(dialect: str, table: Table) -> postgresql.Insert | sqlite.Insert:
    """The same by the database's name, for statements that are made once and kept."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def _open_postgres(url: URL, pool_size: int, statement_timeout_s: float | None) -> AsyncEngine:
    return create_async_engine(
        url.set(drivername="postgresql+asyncpg"),
        pool_size=pool_size,
        max_overflow=POOL_OVERFLOW,
        pool_timeout=_POOL_TIMEOUT_S,
        pool_pre_ping=True,  # a connection that died is replaced, so an outage needs no restart
        hide_parameters=True,
        connect_args={
            "timeout": _CONNECT_TIMEOUT_S,
            "command_timeout": statement_timeout_s,
            "server_settings": {"application_name": "gatehouse", "timezone": "UTC"},
        },
    )


def _open_sqlite(url: URL) -> AsyncEngine:
    if url.database in {None, "", ":memory:"}:
        raise ValueError("SQLite in memory cannot serve concurrent calls: name a file")
    engine = create_async_engine(
        url.set(drivername="sqlite+aiosqlite"),
        pool_timeout=_POOL_TIMEOUT_S,
        hide_parameters=True,
        connect_args={"timeout": _SQLITE_BUSY_MS / 1000},
    )
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:  # noqa: ANN401 - a driver's object
    # The driver would begin transactions by itself, too late and never immediate.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_SQLITE_BUSY_MS}")
    connection.run_async(_switch_to_wal)
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


async def _switch_to_wal(connection: aiosqlite.Connection) -> None:
    """Switch a new file to WAL, while other processes may be at the same.

    Two that read the old journal and both want the file alone would wait for each other for ever,
    so SQLite tells one of them at once that it is locked, whatever `busy_timeout` says
    (https://www.sqlite.org/c3ref/busy_handler.html, checked 2026-11-29).
    """
    give_up_s = time.monotonic() + _SQLITE_BUSY_MS / 1000
    while True:
        try:
            await connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_s:
                raise
            await asyncio.sleep(_SQLITE_RETRY_S)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
