"""`gatehouse audit verify`: offline, with public keys only."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.progress import Progress

from policy_service.cli.database import with_database
from policy_service.cli.failures import errors, needs

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from llm_core.audit.event import Checkpoint
    from llm_core.audit.verify import Chain, Verifier

_CANNOT = 2


def verify(
    file: Annotated[
        Path | None, typer.Argument(help="An export; without one, --database-url.")
    ] = None,
    *,
    public_key: Annotated[
        list[Path] | None,
        typer.Option("--public-key", "-k", help="PEM; again for each key that was ever in use."),
    ] = None,
    checkpoint: Annotated[
        list[str] | None,
        typer.Option(help="A checkpoint that was kept elsewhere: its line, or a file of them."),
    ] = None,
    database_url: Annotated[
        str | None, typer.Option("--database-url", help="Verify a database itself.")
    ] = None,
) -> None:
    """Verify that nothing was changed, taken out, moved or cut off.

    Exits with 0 when all is well, with 1 when something is wrong (it says what, where, and what it
    means), and with 2 when it cannot be told, for example because a file cannot be read.
    """
    with needs("service"):
        from llm_core.audit.verify import Verifier, verify_lines

    if (file is None) is (database_url is None):
        raise _cannot("name an export to verify, or a database with --database-url, and not both")
    verifier = Verifier(_genuine(public_key), _kept(checkpoint or ()))
    if file is not None:
        try:
            for _ in verify_lines(_lines(file), verifier):
                pass
        except OSError as fault:
            raise _cannot(f"{file} cannot be read: {fault.strerror}") from fault
    else:
        _verify_database(str(database_url), verifier)
    found = verifier.finish()
    for chain in verifier.chains:
        typer.echo(_told(chain))
    if not public_key:
        errors.print(
            "Without --public-key it is held against itself only: whoever can rewrite all of it is "
            "not found.",
            soft_wrap=True,
        )
    for one in found:
        errors.print(f"[bold red]{escape(str(one))}[/]", highlight=False, soft_wrap=True)
    if found:
        further = f" and {verifier.further:,} more" if verifier.further else ""
        errors.print(f"{len(found):,}{further} findings.")
        raise typer.Exit(1)
    typer.echo("Verified: nothing is wrong.")


def _told(chain: "Chain") -> str:
    told = [f"{chain.name}: {chain.events:,} events"]
    if chain.events:
        told.append(f"{chain.first:,} to {chain.last:,}")
    told.append(f"sealed up to {chain.sealed:,}" if chain.sealed else "not sealed")
    if 0 < chain.sealed < chain.last:
        told.append(f"{chain.last - chain.sealed:,} after the last checkpoint are not proved")
    if chain.erased:
        told.append(f"{chain.erased:,} erased")
    if chain.lost:
        told.append(f"{chain.lost:,} lost before they could be written")
    return ", ".join(told)


def _verify_database(url: str, verifier: "Verifier") -> None:
    async def work(engine: "AsyncEngine") -> None:
        from llm_core.audit.verify import verify_lines
        from policy_service.adapters.sql.audit_chain import SqlAuditChain
        from policy_service.services.audit_export import exported

        now = datetime.now(UTC)
        with errors.status("Verifying") as status:
            count = 0
            async for lines, piece in exported(SqlAuditChain(engine, lambda: now), now):
                for _ in verify_lines(piece.splitlines(), verifier):
                    pass
                count += lines
                status.update(f"Verifying: {count:,} lines")

    try:
        with_database(url, work)
    except typer.Exit:
        raise typer.Exit(_CANNOT) from None


def _lines(file: Path) -> Iterator[bytes]:
    """The file's lines, with a bar for whoever waits at a terminal."""
    size = file.stat().st_size
    hidden = not errors.is_terminal
    bar = Progress(console=errors, transient=True, disable=hidden)
    with file.open("rb") as lines, bar as progress:
        task = progress.add_task("Verifying", total=size)
        done = 0
        for number, line in enumerate(lines):
            done += len(line)
            if number % 10_000 == 0:
                progress.update(task, completed=done)
            yield line


def _genuine(paths: Sequence[Path] | None) -> Any:  # noqa: ANN401 - an `IsGenuine`
    from policy_service.adapters.ed25519 import Ed25519PublicKeys

    if not paths:
        return None
    try:
        keys = Ed25519PublicKeys(path.read_bytes() for path in paths)
    except OSError as fault:
        raise _cannot(f"{fault.filename} cannot be read: {fault.strerror}") from fault
    except ValueError as fault:
        raise _cannot(f"a public key cannot be used: {fault}") from fault

    def is_genuine(one: "Checkpoint") -> bool:
        return keys.is_genuine(one.key_id, one.signed_bytes, one.signature)

    return is_genuine


def _kept(given: Iterable[str]) -> list["Checkpoint"]:
    import msgspec

    from llm_core.audit.event import Checkpoint, Event, Header

    found: list[Checkpoint] = []
    for one in given:
        try:
            text = one.encode() if one.lstrip().startswith("{") else Path(one).read_bytes()
            lines = [
                msgspec.json.decode(line, type=Checkpoint | Event | Header)
                for line in text.splitlines()
                if line.strip()
            ]
        except OSError as fault:
            raise _cannot(f"{one} cannot be read: {fault.strerror}") from fault
        except (msgspec.DecodeError, UnicodeDecodeError) as fault:
            raise _cannot(f"a kept checkpoint cannot be read: {fault}") from fault
        kept = [line for line in lines if isinstance(line, Checkpoint)]
        if not kept:
            raise _cannot(f"{one} holds no checkpoint")
        found.extend(kept)
    return found


def _cannot(sentence: str) -> typer.Exit:
    errors.print(f"[bold red]error:[/] {escape(sentence)}", highlight=False, soft_wrap=True)
    return typer.Exit(_CANNOT)
