"""Brings a database's schema up to date with the migrations that ship in this package.

Alembic takes the steps. It is imported when there is one to take: to see that there is none, which
is what every start and every command does, takes a fifth of the time.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.errors import PolicyUnavailable
from policy_service.adapters.sql.engine import open_engine, reading, writing

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATIONS = Path(__file__).parent / "migrations"
REVISIONS = tuple(
    sorted(one.name[1:5] for one in (_MIGRATIONS / "versions").glob("v[0-9][0-9][0-9][0-9]_*.py"))
)
"""Of every schema, the first one first: a migration's file has its revision's number."""

HEAD = REVISIONS[-1]
_Take = Callable[[AsyncEngine, str], Awaitable[None]]
_LOCK = 0x67617465  # "gate"; any number that nobody else takes in this database
_LOCK_TIMEOUT = "2s"
_BUSY = ("55P03", "40P01")
"""No lock in time; a deadlock with those who write."""

_TRIES = 100
_PAUSE_S = 1.0

_log = logging.getLogger(__name__)


async def migrate(url: str) -> None:
    """Bring the database at `url` up to date; does nothing when it is, or is newer. Loses no data.

    Each step is a transaction of its own, so what it locks is free again before the next one. A
    step may copy the whole ledger, and a process that comes later waits for it: no statement of it
    is given up because of the time that it takes. But it waits only shortly for a table that others
    use, as they would all have to wait behind it: then it is undone and tried again.

    Raises:
        PolicyUnavailable: The database cannot be reached, a step failed and was undone, or others
            kept a table busy for minutes.
    """
    engine = open_engine(url, statement_timeout_s=None)
    try:
        for revision in await _missing(engine):
            await _step(engine, revision)
    finally:
        await engine.dispose()


async def go_back(url: str, revision: str) -> None:
    """Take the database at `url` back to an earlier revision; what only later ones keep is lost.

    Raises:
        ValueError: There is no such revision before the database's own.
        PolicyUnavailable: As with `migrate`.
    """
    engine = open_engine(url, statement_timeout_s=None)
    try:
        now = await _revision(engine)
        if now is None or _is_newer(now):
            raise ValueError(
                f"the database has the schema {now}, which this version does not know: use the "
                "version that made it"
                if now
                else "the database has no schema"
            )
        earlier = REVISIONS[: REVISIONS.index(now)]
        if revision not in earlier:
            raise ValueError(
                f"{revision} does not come before the database's schema {now}: name one of "
                f"{', '.join(earlier)}"
            )
        for one in reversed(earlier[earlier.index(revision) :]):
            await _step(engine, one, downgrade)
    finally:
        await engine.dispose()


async def upgrade(engine: AsyncEngine, revision: str = "head") -> None:
    """Take every step up to `revision`, in one transaction. Processes that start together queue."""
    async with writing(engine) as connection:
        await connection.run_sync(_run, "upgrade", revision)


async def downgrade(engine: AsyncEngine, revision: str) -> None:
    """Take steps back to `revision` (`base`: to nothing), with the data in what they remove."""
    async with writing(engine) as connection:
        await connection.run_sync(_run, "downgrade", revision)


async def is_current(engine: AsyncEngine) -> bool:
    """Whether the schema is exactly the one that this version was written for.

    Raises:
        PolicyUnavailable: The database cannot be reached.
    """
    return await _revision(engine) == HEAD


async def is_enough(engine: AsyncEngine) -> bool:
    """Whether this version can work with the schema: it is its own, or that of a newer version.

    While versions take each other's place, the newer one has migrated and the older one serves on;
    each migration lets the statements of the version before it work (docs/upgrading.md).

    Raises:
        PolicyUnavailable: The database cannot be reached.
    """
    revision = await _revision(engine)
    return revision == HEAD or _is_newer(revision)


async def _revision(engine: AsyncEngine) -> str | None:
    async with reading(engine) as connection:
        return await connection.run_sync(_revision_of)


async def _missing(engine: AsyncEngine) -> list[str]:
    """The revisions to bring the schema to, one after the other."""
    revision = await _revision(engine)
    if revision is None:
        return ["head"]  # nobody writes there yet
    if _is_newer(revision):
        _log.warning("the database has the schema %s of a newer version, and keeps it", revision)
        return []
    return list(REVISIONS[REVISIONS.index(revision) + 1 :])


async def _step(engine: AsyncEngine, revision: str, take: _Take | None = None) -> None:
    for _ in range(_TRIES):
        try:
            return await (take or upgrade)(engine, revision)
        except PolicyUnavailable as fault:
            if not _is_busy(fault):
                raise
            _log.warning(
                "step %s of the schema waits for a table that others use: trying again", revision
            )
            await asyncio.sleep(_PAUSE_S)
    raise PolicyUnavailable(
        f"Step {revision} of the schema found no moment in {_TRIES} tries: long queries, or a "
        "backup, hold a table that it changes."
    )


def _is_busy(fault: PolicyUnavailable) -> bool:
    cause = fault.__cause__
    return isinstance(cause, DBAPIError) and getattr(cause.orig, "sqlstate", "") in _BUSY


def _run(connection: Connection, step: Literal["upgrade", "downgrade"], revision: str) -> None:
    from alembic import command  # noqa: PLC0415

    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
    config = _config()
    config.attributes["connection"] = connection
    getattr(command, step)(config, revision)


def _revision_of(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def _is_newer(revision: str | None) -> bool:
    """A revision that this version has never heard of is a later one's."""
    return revision is not None and revision not in REVISIONS


def _config() -> "Config":
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    # Alembic reads `%` as the start of a placeholder, and a folder's name may hold one.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
