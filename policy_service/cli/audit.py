"""`gatehouse audit`: what the audit chain holds, and the proof that nobody has changed it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from policy_service.cli.audit_places import Wanted, audit_at
from policy_service.cli.audit_verify import verify
from policy_service.cli.database import DEFAULT_DATABASE, Database, operator, with_database
from policy_service.cli.failures import fail, needs
from policy_service.cli.login import Token
from policy_service.cli.places import AnyDatabase, AnyServer, place_of
from policy_service.cli.tables import AsJson, print_json, show_table
from policy_service.cli.times import span_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from llm_core.audit.event import Checkpoint
    from policy_service.adapters.sql.audit_chain import SqlAuditChain

app = typer.Typer(
    no_args_is_help=True,
    help="The audit chain: what happened, and the proof that nobody has changed it since.",
)
app.command("verify")(verify)
_Chain = Annotated[
    str | None,
    typer.Option("--chain", help="`org:<organisation>` or `platform`; all by default."),
]
_Since = Annotated[
    str | None,
    typer.Option("--since", help="As `7d`, `12h`, or a time such as 2026-11-20T00:00:00Z."),
]


@app.command("keys")
def keys(
    folder: Annotated[
        Path, typer.Option("--directory", "-d", help="Where to write them.")
    ] = Path(),
) -> None:
    """Make a pair of keys: the service signs checkpoints with one, auditors verify with the other.

    Writes audit-key.pem, which is secret (POLICY_AUDIT_KEY_FILE), and audit-key.pub.pem.
    """
    with needs("service"):
        from policy_service.adapters.ed25519 import Ed25519PublicKeys, new_key_pair

    private, public = new_key_pair()
    paths = folder / "audit-key.pem", folder / "audit-key.pub.pem"
    for path, content, mode in zip(paths, (private, public), (0o600, 0o644), strict=True):
        try:
            path.touch(mode, exist_ok=False)
            path.write_bytes(content)
        except FileExistsError:
            raise fail(f"{path} is there already: move it away, its checkpoints need it") from None
        except OSError as fault:
            raise fail(f"{path} cannot be written: {fault.strerror}") from fault
    [key_id] = Ed25519PublicKeys([public]).ids
    typer.echo(f"Key {key_id}: {paths[0]} signs, {paths[1]} verifies.")


@app.command("list")
def list_events(
    *,
    context: typer.Context,
    chain: _Chain = None,
    kind: Annotated[
        str | None, typer.Option(help="Such as `decision`; `key.` for all that begin so.")
    ] = None,
    actor: Annotated[str | None, typer.Option(help="Such as `user:alice`.")] = None,
    subject: Annotated[str | None, typer.Option(help="Such as `key:key_01...`.")] = None,
    since: _Since = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 50,
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
    as_json: AsJson = False,
) -> None:
    """List events, the newest of each chain first.

    For example: gatehouse audit list --kind key. --since 7d
    """
    wanted = Wanted(chain, kind, actor, subject, _moment(since))
    with audit_at(place_of(context, server, token, database_url)) as place:
        rows = place.listed(wanted, limit)
    if as_json:
        print_json(rows)
        return
    show_table(
        ("chain", "seq", "at", "kind", "actor", "subject"),
        [
            (
                escape(row["chain"]),
                str(row["seq"]),
                row["at"][:19].replace("T", " "),
                escape(row["kind"]),
                escape(row["actor"] or "(erased)"),
                escape(row["subject"] or "(erased)"),
            )
            for row in rows
        ],
        wide=2,
    )


@app.command("show")
def show(
    *,
    context: typer.Context,
    chain: Annotated[str, typer.Argument(help="`org:<organisation>` or `platform`.")],
    seq: Annotated[int, typer.Argument(min=1, help="The event's number.")],
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
) -> None:
    """Show an event with its payload, as JSON.

    For example: gatehouse audit show org:acme 103
    """
    with audit_at(place_of(context, server, token, database_url)) as place:
        found = place.event(chain, seq)
    if found is None:
        raise fail(f"{chain} has no event {seq}")
    Console().print_json(data=found)


@app.command("export")
def export(
    *,
    context: typer.Context,
    file: Annotated[Path, typer.Option("--output", "-o", help="The file to write, JSON Lines.")],
    chain: _Chain = None,
    since: _Since = None,
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
) -> None:
    """Write the chains to a file that `gatehouse audit verify` can verify anywhere.

    For example: gatehouse audit export -o audit.jsonl --chain org:acme
    """
    wanted = Wanted(chain, since=_moment(since))
    part = file.with_name(f"{file.name}.part")
    with audit_at(place_of(context, server, token, database_url)) as place:
        try:
            count = place.export(part, wanted)
            part.replace(file)
        except OSError as fault:
            raise fail(f"{file} cannot be written: {fault.strerror}") from fault
        finally:
            part.unlink(missing_ok=True)
    typer.echo(f"{count:,} lines in {file}")


@app.command("checkpoint")
def checkpoint(
    key_file: Annotated[
        Path | None,
        typer.Option("--key-file", envvar="POLICY_AUDIT_KEY_FILE", help="Signs new checkpoints."),
    ] = None,
    database_url: Database = DEFAULT_DATABASE,
) -> None:
    """Seal the chains now, and print the newest checkpoint of each.

    Keep what it prints where nobody who administers the database can change it: held against it, a
    chain cannot be cut short or rewritten unseen. Without a key nothing is sealed, only printed.
    """
    import msgspec

    async def work(engine: "AsyncEngine") -> "Sequence[Checkpoint]":
        from policy_service.adapters.ed25519 import read_signer

        store = _chain(engine)
        if key_file is not None:
            signer = read_signer(key_file)
            while await store.append(()):
                pass
            await store.seal(signer, datetime.now(UTC), least=1, age_s=0)
        return [
            newest[0]
            for head in await store.heads()
            if (newest := await store.checkpoints([head.chain], limit=1))
        ]

    found = with_database(database_url, work)
    if not found:
        raise fail("there is no checkpoint, and no key to make one with: see --key-file")
    for one in found:
        typer.echo(msgspec.json.encode(one).decode())


@app.command("erase")
def erase(
    user: Annotated[str, typer.Argument(help="The user's id.")],
    reason: Annotated[str, typer.Option(help="Why, for the record; does not name the user.")],
    database_url: Database = DEFAULT_DATABASE,
) -> None:
    """Erase what the chain says of a user. The chain stays verifiable, and tells that it was done.

    Only of the audit chain.
    """

    async def work(engine: "AsyncEngine") -> int:
        return await _chain(engine).erase(user, operator(), reason)

    typer.echo(f"{with_database(database_url, work)} events erased.")


def _chain(engine: "AsyncEngine") -> "SqlAuditChain":
    from policy_service.adapters.sql.audit_chain import SqlAuditChain

    return SqlAuditChain(engine, lambda: datetime.now(UTC))


def _moment(text: str | None) -> datetime | None:
    """The moment that `--since` names."""
    if text is None:
        return None
    if (span := span_of(text)) is not None:
        return datetime.now(UTC) - span
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no time: write 7d, or 2026-11-20T00:00:00Z"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
