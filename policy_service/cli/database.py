"""What the commands share that work on the policy service's database itself."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from llm_core.policy.roles import PLATFORM, Actor, Grant, Role
from policy_service.cli.failures import fail, needs

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

T = TypeVar("T")
DEFAULT_DATABASE = "sqlite+aiosqlite:///gatehouse.db"
Database = Annotated[
    str,
    typer.Option(
        "--database-url", envvar="POLICY_DATABASE_URL", help="The policy service's database."
    ),
]


def operator() -> Actor:
    """Who runs the command: whoever reaches the database may do everything."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in a container
        name = "unknown"
    grants = (Grant(Role.PLATFORM_ADMIN, PLATFORM),)
    return Actor(f"command_line:{name}", "command_line", grants)


def with_database(url: str, work: "Callable[[AsyncEngine], Awaitable[T]]") -> T:
    """Migrate the database, do the work, and end the command with a sentence if it fails."""
    with needs("service"):
        from llm_core.errors import PolicyUnavailable
        from policy_service.adapters.sql import schema
        from policy_service.adapters.sql.engine import open_engine

    async def run() -> T:
        await schema.migrate(url)
        engine = open_engine(url)
        try:
            return await work(engine)
        finally:
            await engine.dispose()

    try:
        return asyncio.run(run())
    except (ValueError, PolicyUnavailable) as fault:
        raise fail(str(fault)) from fault
