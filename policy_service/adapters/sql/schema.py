"""Brings a database's schema up to date with the migrations that ship in this package."""

import functools
from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from policy_service.adapters.sql.engine import open_engine, reading, writing

_MIGRATIONS = Path(__file__).parent / "migrations"
_Step = Callable[[Config, str], None]
_LOCK = 0x67617465  # "gate"; any number that nobody else takes in this database


async def migrate(url: str) -> None:
    """Bring the database at `url` up to date; does nothing when it is. Loses no data.

    A step may copy the whole ledger, and a process that comes later waits for it: no statement of
    it is given up because of the time that it takes.

    Raises:
        PolicyUnavailable: The database cannot be reached, or a step failed and was undone.
    """
    engine = open_engine(url, statement_timeout_s=None)
    try:
        await upgrade(engine)
    finally:
        await engine.dispose()


async def upgrade(engine: AsyncEngine, revision: str = "head") -> None:
    """Take every step up to `revision`, in one transaction. Processes that start together queue."""
    async with writing(engine) as connection:
        await connection.run_sync(_run, command.upgrade, revision)


async def downgrade(engine: AsyncEngine, revision: str) -> None:
    """Take steps back to `revision` (`base`: to nothing), with the data in what they remove."""
    async with writing(engine) as connection:
        await connection.run_sync(_run, command.downgrade, revision)


async def is_current(engine: AsyncEngine) -> bool:
    """Whether the schema is exactly the one that this version was written for.

    Raises:
        PolicyUnavailable: The database cannot be reached.
    """
    async with reading(engine) as connection:
        return await connection.run_sync(_revision_of) == _head()


def _run(connection: Connection, step: _Step, revision: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    config = _config()
    config.attributes["connection"] = connection
    step(config, revision)


def _revision_of(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


@functools.cache
def _head() -> str | None:
    return ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    # Alembic reads `%` as the start of a placeholder, and a folder's name may hold one.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
