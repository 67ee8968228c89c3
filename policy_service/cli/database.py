"""What the commands share that work on the policy service's database itself."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.markup import escape

from llm_core.policy.roles import PLATFORM, Actor, Grant, Role
from policy_service.cli.failures import errors, fail, needs

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
        from policy_service.adapters.sql import schema
        from policy_service.adapters.sql.engine import open_engine

    async def run() -> T:
        engine = open_engine(url)  # first, since it says what is wrong with the URL
        is_new = _is_new_file(url)
        await schema.migrate(url)
        if is_new:
            _tell_of_new_file(url)
        try:
            return await work(engine)
        finally:
            await engine.dispose()

    return _ran(url, run)


def back_to(url: str, revision: str) -> None:
    """Take the database back to an earlier schema, and end with a sentence if that fails."""
    with needs("service"):
        from policy_service.adapters.sql import schema

    _ran(url, lambda: schema.go_back(url, revision))


def _ran(url: str, work: Callable[[], Awaitable[T]]) -> T:
    from llm_core.errors import PolicyUnavailable

    async def run() -> T:
        return await work()

    try:
        return asyncio.run(run())
    except PolicyUnavailable as fault:
        raise fail(f"{fault} It is {shown_url(url)}; POLICY_DATABASE_URL names it.") from fault
    except ValueError as fault:
        raise fail(str(fault)) from fault


def shown_url(url: str) -> str:
    """A database's URL without its password, and without what could hold another."""
    from sqlalchemy.engine import make_url

    return make_url(url).set(query={}).render_as_string(hide_password=True)


def _is_new_file(url: str) -> bool:
    from sqlalchemy.engine import make_url

    parsed = make_url(url)
    return parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists()


def _tell_of_new_file(url: str) -> None:
    """An empty list from a file that was made just now looks like a list of what is there."""
    told = f"{shown_url(url)} is a new, empty database; POLICY_DATABASE_URL names another."
    errors.print(escape(told), highlight=False, soft_wrap=True)
