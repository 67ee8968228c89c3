"""`gatehouse privacy`: what people may ask for by law."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console

from policy_service.cli.asking import asking
from policy_service.cli.database import DEFAULT_DATABASE, Database, operator, with_database
from policy_service.cli.failures import fail, needs
from policy_service.cli.login import Token
from policy_service.cli.places import AnyDatabase, AnyServer, place_of
from policy_service.ports.privacy import Erasure

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

app = typer.Typer(no_args_is_help=True, help="What people may ask for: to be told, to be erased.")
_ERASURE_TIMEOUT_S = 600.0
"""Somebody's years of calls take minutes, and the answer comes when it is done."""
_User = Annotated[str, typer.Argument(help="The user's id, as the ledger has it.")]


@app.command("erase")
def erase(
    *,
    context: typer.Context,
    user: _User,
    reason: Annotated[
        str, typer.Option(help="Why, without naming them: the number of their request.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what is there.")] = False,
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
) -> None:
    """Take a user out of the logs and the ledger; sums and proofs stay as they are.

    Deletes what is kept of their words, empties their decisions and puts a pseudonym into their
    calls. Switch the account off first: what is under way comes later, and doing this again takes
    it out as well.
    """
    place = place_of(context, server, token, database_url)
    if place.server is None:
        found = _erased_at_database(place.database_url, user, reason, dry_run=dry_run)
    else:
        body = {"user": user, "reason": reason, "dry_run": dry_run}
        with asking(place.server, place.token) as api:
            path = "/admin/v1/privacy/erasures"
            done = api.ask("POST", path, body=body, timeout_s=_ERASURE_TIMEOUT_S)
        found = msgspec.convert(done, Erasure)
    rows = ", ".join(f"{count} in {place}" for place, count in found.found.items())
    if dry_run:
        typer.echo(f"It would take: {rows}.")
    elif found.pseudonym is None:
        typer.echo("Nothing is there.")
    else:
        typer.echo(f"{found.pseudonym} stands for them now: {rows}. Audited as {found.id}.")


def _erased_at_database(url: str, user: str, reason: str, *, dry_run: bool) -> Erasure:
    with needs("service"):
        from llm_core.errors import GatewayError
        from policy_service.adapters.sql.audit_chain import SqlAuditChain
        from policy_service.adapters.sql.callers import utc_now
        from policy_service.adapters.sql.privacy import SqlPersonalData
        from policy_service.services.erasure import Erasures

    progress = Console(stderr=True)

    async def work(engine: "AsyncEngine") -> Erasure:
        erasures = Erasures(SqlPersonalData(engine), SqlAuditChain(engine, utc_now))
        if dry_run:
            return await erasures.preview(user)
        return await erasures.erase(
            user,
            operator(),
            reason,
            told=lambda place, done: progress.print(f"{place}: {done} ...", highlight=False),
        )

    try:
        return with_database(url, work)
    except GatewayError as fault:
        raise fail(str(fault)) from fault


@app.command("export")
def export(
    user: _User,
    reason: Annotated[
        str, typer.Option(help="Why; the audit log has it.")
    ] = "The person asked what is held on them.",
    database_url: Database = DEFAULT_DATABASE,
) -> None:
    """Print everything that is held on a user as JSON, without the words of their calls."""
    with needs("service"):
        from policy_service.adapters.sql.privacy import SqlPersonalData

    async def work(engine: "AsyncEngine") -> dict[str, Any]:
        data = SqlPersonalData(engine)
        await data.note_export(operator(), user, reason)
        held: dict[str, Any] = {"user": user, "at": datetime.now(UTC).isoformat()}
        async for place, row in data.held(user):
            held.setdefault(place, []).append(row)
        return held

    typer.echo(json.dumps(with_database(database_url, work), indent=2, ensure_ascii=False))
