"""`gatehouse apply` and `gatehouse keys`: the organisation and its keys."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from policy_service.cli.failures import fail, needs

keys = typer.Typer(no_args_is_help=True, help="API keys.")
_Database = Annotated[
    str,
    typer.Option(
        "--database-url", envvar="POLICY_DATABASE_URL", help="The policy service's database."
    ),
]
DEFAULT_DATABASE = "sqlite+aiosqlite:///gatehouse.db"


def apply(
    file: Annotated[Path, typer.Option("--file", "-f", help="The company's YAML file.")],
    database_url: _Database = DEFAULT_DATABASE,
) -> None:
    """Make the database say what a company file says, and print new keys, once.

    Nothing that the file does not name is taken away.
    """
    with needs("service"):
        from policy_service.adapters.sql.company import read_company, seed_company

    issued = _with_database(database_url, lambda engine: seed_company(engine, read_company(file)))
    if not issued:
        typer.echo("Done; no new keys.")
        return
    typer.echo("New keys, shown this once and stored as digests only:")
    for name, text in issued.items():
        typer.echo(f"  {name}: {text}")


@keys.command("issue")
def issue_key(
    team: Annotated[str, typer.Option(help="The team it belongs to.")],
    name: Annotated[str, typer.Option(help="A name to recognise it by.")],
    project: Annotated[str | None, typer.Option(help="A project of the team.")] = None,
    user: Annotated[str | None, typer.Option(help="The person who uses it.")] = None,
    database_url: _Database = DEFAULT_DATABASE,
) -> None:
    """Issue a key, and print it, once."""
    with needs("service"):
        from policy_service.adapters.sql.organisation import Holder, Organisation

    holder = Holder(team=team, project=project, user=user)
    issued = _with_database(
        database_url, lambda engine: Organisation(engine).issue_key(name, holder)
    )
    typer.echo(issued.text)


@keys.command("list")
def list_keys(
    team: Annotated[str | None, typer.Option(help="Only this team's.")] = None,
    database_url: _Database = DEFAULT_DATABASE,
) -> None:
    """List keys; their text is not known to anybody but their owners."""
    with needs("service"):
        from policy_service.adapters.sql.organisation import Organisation

    records = _with_database(database_url, lambda engine: Organisation(engine).list_keys(team=team))
    table = Table("id", "name", "team", "starts with", "created", "expires", "revoked")
    for record in records:
        table.add_row(
            record.id,
            record.name,
            record.holder.team,
            record.prefix,
            f"{record.created_at:%Y-%m-%d}",
            f"{record.expires_at:%Y-%m-%d}" if record.expires_at else "",
            f"{record.revoked_at:%Y-%m-%d %H:%M}" if record.revoked_at else "",
        )
    Console().print(table)


@keys.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(help="The key's id, from `gatehouse keys list`.")],
    database_url: _Database = DEFAULT_DATABASE,
) -> None:
    """Revoke a key; the plugins forget it within `cache_ttl_s`."""
    with needs("service"):
        from policy_service.adapters.sql.organisation import Organisation

    if not _with_database(database_url, lambda engine: Organisation(engine).revoke_key(key_id)):
        raise fail(f"there is no live key {key_id!r}; see `gatehouse keys list`")
    typer.echo(f"{key_id} is revoked.")


def _with_database(url: str, work: Callable[[Any], Awaitable[Any]]) -> Any:  # noqa: ANN401
    from llm_core.errors import PolicyUnavailable
    from policy_service.adapters.sql import schema
    from policy_service.adapters.sql.engine import open_engine

    async def run() -> Any:  # noqa: ANN401
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
