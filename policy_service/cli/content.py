"""`gatehouse content`: what is kept of people's words, and the keys that it is sealed with."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec
import typer

from policy_service.cli.asking import asking
from policy_service.cli.database import DEFAULT_DATABASE, Database, operator, with_database
from policy_service.cli.failures import fail, misused, needs
from policy_service.cli.login import Token
from policy_service.cli.places import AnyDatabase, AnyServer, place_of
from policy_service.cli.server import path_part
from policy_service.cli.tables import show_table
from policy_service.ports.content import ContentFacts

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from policy_service.adapters.content_keys import ContentKeys
    from policy_service.ports.content import Content, ContentRow

T = TypeVar("T")
app = typer.Typer(no_args_is_help=True, help="What is kept of people's words, and its keys.")
_BATCH = 200
_PATH = "/admin/v1/content"
_KeyFile = Annotated[
    Path | None,
    typer.Option(
        help="The file with the organisation's content keys, the newest first.", dir_okay=False
    ),
]


@app.command("keys")
def keys() -> None:
    """Print a new key; put it into the secret that POLICY_CONTENT_KEYS names, above older ones."""
    with needs("service"):
        from policy_service.adapters.content_keys import new_content_key

    typer.echo(new_content_key())


@app.command("list")
def list_lines(
    *,
    context: typer.Context,
    team: Annotated[str | None, typer.Option(help="Only of this team.")] = None,
    user: Annotated[str | None, typer.Option(help="Only of this user.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 50,
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
) -> None:
    """List the newest calls whose words are kept, without the words."""
    place = place_of(context, server, token, database_url)
    if place.server is None:
        found = _facts_at_database(place.database_url, team, user, limit)
    else:
        query: dict[str, str | list[str]] = {"limit": str(limit)}
        query |= {name: one for name, one in (("team", team), ("user", user)) if one}
        with asking(place.server, place.token) as api:
            told = api.ask("GET", _PATH, query=query)["rows"]
        found = msgspec.convert(told, tuple[ContentFacts, ...])
    show_table(
        ("decision", "at", "team", "user", "model", "level", "bytes", "kept until", "state"),
        (
            (
                one.decision_id,
                f"{one.at:%Y-%m-%d %H:%M}",
                one.team,
                one.user or "",
                one.asked_model,
                one.level,
                f"{one.request_bytes or 0}/{one.response_bytes or 0}",
                f"{one.kept_until:%Y-%m-%d}",
                one.gap or ("cut" if one.is_cut else ""),
            )
            for one in found
        ),
    )


def _facts_at_database(
    url: str, team: str | None, user: str | None, limit: int
) -> tuple[ContentFacts, ...]:
    with needs("service"):
        from policy_service.adapters.sql.content_log import SqlContentLog

    async def work(engine: "AsyncEngine") -> tuple[ContentFacts, ...]:
        now = datetime.now(UTC)
        return await SqlContentLog(engine).facts(now, team=team, user=user, limit=limit)

    return with_database(url, work)


@app.command("show")
def show(
    *,
    context: typer.Context,
    decision_id: Annotated[str, typer.Argument(help="Of the call: x-gatehouse-decision-id.")],
    reason: Annotated[str, typer.Option(help="Why you read it; the audit log has it.")],
    key_file: _KeyFile = None,
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
) -> None:
    """Show what was asked and answered in a call, as JSON.

    That you read it is written down before anything is shown. At the database encrypted words need
    the key as well; at a service you sign in as an auditor, and it has the key.
    """
    place = place_of(context, server, token, database_url)
    if place.server is None:
        content: object = _content_at_database(place.database_url, decision_id, reason, key_file)
    elif key_file is not None:
        raise misused("--key-file is for a database: a service has the keys")
    else:
        with asking(place.server, place.token) as api:
            path = f"{_PATH}/{path_part(decision_id)}"
            content = api.ask("GET", path, query={"reason": reason})
    typer.echo(msgspec.json.format(msgspec.json.encode(content)).decode())


def _content_at_database(
    url: str, decision_id: str, reason: str, key_file: Path | None
) -> "Content":
    with needs("service"):
        from policy_service.adapters.sql.content_log import SqlContentLog
        from policy_service.services.content_reader import ContentReader

    async def work(engine: "AsyncEngine") -> "Content":
        sealer = None if key_file is None else _keys_in(key_file)
        reader = ContentReader(SqlContentLog(engine), sealer, lambda: datetime.now(UTC))
        return await reader.read(decision_id, operator(), reason, lambda _row: None)

    return _told(lambda: with_database(url, work))


@app.command("rotate")
def rotate(
    key_file: Annotated[
        Path,
        typer.Option(help="The keys, the new one first and those it replaces.", dir_okay=False),
    ],
    organisation: Annotated[
        str | None, typer.Option(help="Only this one's; needed where each has keys of its own.")
    ] = None,
    database_url: Database = DEFAULT_DATABASE,
) -> None:
    """Seal everything anew with the newest key, so that older ones can be thrown away.

    Safe while the service runs, and to be begun again. Exits with 1 when something was left that
    these keys do not open.
    """
    keyring = _told(lambda: _keys_in(key_file))

    async def work(engine: "AsyncEngine") -> tuple[int, int]:
        return await _rotated(engine, keyring, organisation)

    done, left = _told(lambda: with_database(database_url, work))
    typer.echo(f"{done} calls' words are sealed with {keyring.key_id('')} now.")
    if left:
        raise fail(f"{left} calls' words were left: these keys do not open them")


async def _rotated(
    engine: "AsyncEngine", keyring: "ContentKeys", organisation: str | None
) -> tuple[int, int]:
    from policy_service.adapters.sql.content_log import SqlContentLog
    from policy_service.ports.content import Damaged, NoKey

    log = SqlContentLog(engine)
    newest, after, done, left = keyring.key_id("") or "", "", 0, 0
    while rows := await log.sealed_with_others(organisation, newest, after, _BATCH):
        after = rows[-1].decision_id
        anew = []
        for row in rows:
            try:
                anew.append(_resealed(row, keyring))
            except (NoKey, Damaged):
                left += 1
        await log.reseal(anew)
        done += len(anew)
        typer.echo(f"{done} done, {left} left ...", err=True)
    return done, left


def _resealed(row: "ContentRow", keyring: "ContentKeys") -> "ContentRow":
    from policy_service.ports.content import Part

    def anew(part: Part, sealed: bytes | None) -> bytes | None:
        if sealed is None:
            return None
        words = keyring.opened(row.key_id, row.organisation, row.decision_id, part, sealed)
        return keyring.seal(row.organisation, row.decision_id, part, words)

    return replace(
        row,
        sealed_question=anew(Part.QUESTION, row.sealed_question),
        sealed_answer=anew(Part.ANSWER, row.sealed_answer),
        key_id=keyring.key_id(row.organisation),
    )


def _keys_in(file: Path) -> "ContentKeys":
    from policy_service.adapters.content_keys import DEFAULT, ContentKeys

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise ValueError(f"{file} cannot be read") from fault
    return ContentKeys({DEFAULT: text})


def _told(work: Callable[[], T]) -> T:
    """Do it, and end the command with a sentence where that cannot be."""
    with needs("service"):
        from llm_core.errors import GatewayError

    try:
        return work()
    except (GatewayError, ValueError) as fault:
        raise fail(str(fault)) from fault
