"""`gatehouse keys`: issue, rotate, revoke, list and check API keys."""

import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from llm_core.operation import Operation
from llm_core.policy.limits import Priority
from policy_service.cli.database import DEFAULT_DATABASE, Database, operator, with_database
from policy_service.cli.failures import fail, needs
from policy_service.cli.tables import show_table
from policy_service.cli.times import span_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from policy_service.adapters.sql.keys import ApiKeys
    from policy_service.ports.keys import KeyRecord

T = TypeVar("T")
app = typer.Typer(no_args_is_help=True, help="API keys.")
_Redis = Annotated[
    str | None,
    typer.Option(
        "--redis-url",
        envvar="POLICY_REDIS_URL",
        help="The policy service's Redis, to have the change heard at once; without it "
        "the service looks by itself every 0.3 s.",
    ),
]
_KeyId = Annotated[str, typer.Argument(help="The key's id, from `gatehouse keys list`.")]
_Expires = Annotated[str | None, typer.Option(help="For how long it is good: 12h, 90d.")]


@app.command("issue")
def issue(
    *,
    team: Annotated[str, typer.Option(help="The team it belongs to.")],
    name: Annotated[str, typer.Option(help="A name to recognise it by.")],
    project: Annotated[str | None, typer.Option(help="A project of the team.")] = None,
    user: Annotated[str | None, typer.Option(help="The person who uses it.")] = None,
    application: Annotated[str | None, typer.Option(help="The software that uses it.")] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="A model it may use; all its team may if left out.")
    ] = None,
    operation: Annotated[
        list[Operation] | None, typer.Option(help="What it is good for; everything if left out.")
    ] = None,
    network: Annotated[
        list[str] | None,
        typer.Option(help="Where it may be used from, as 10.0.0.0/8; everywhere if left out."),
    ] = None,
    priority: Annotated[
        Priority, typer.Option(help="How urgent its calls are at best.")
    ] = Priority.INTERACTIVE,
    expires: _Expires = None,
    database_url: Database = DEFAULT_DATABASE,
) -> None:
    """Issue a key, and print it, once."""
    with needs("service"):
        from policy_service.ports.keys import Scopes
        from policy_service.ports.organisation import Holder

    models = None if model is None else tuple(model)
    holder = Holder(
        team=team, project=project, user=user, application=application, allowed_models=models
    )
    scopes = Scopes(tuple(operation or ()), tuple(network or ()), priority)
    expires_at = None if expires is None else datetime.now(UTC) + _span(expires)
    issued = _with_keys(
        database_url,
        lambda keys: keys.issue_key(
            name, holder, scopes=scopes, expires_at=expires_at, actor=operator()
        ),
    )
    typer.echo(issued.text)


@app.command("rotate")
def rotate(
    key_id: _KeyId,
    overlap: Annotated[str, typer.Option(help="For how long the old text stays good.")] = "24h",
    expires: _Expires = None,
    database_url: Database = DEFAULT_DATABASE,
    redis_url: _Redis = None,
) -> None:
    """Give a key a new text, and print it, once.

    The key stays the same, with its limits and what is used of them. Left out, the new text is good
    for as long as the old one was meant to be. A still older one ends at once.
    """
    expires_at = None if expires is None else datetime.now(UTC) + _span(expires)
    issued = _with_keys(
        database_url,
        lambda keys: keys.rotate_key(
            key_id, overlap=_span(overlap), expires_at=expires_at, actor=operator()
        ),
        redis_url,
    )
    if issued.ended_prefix is not None:
        typer.echo(f"The older one, {issued.ended_prefix}..., has ended.", err=True)
    typer.echo(issued.text)


@app.command("revoke")
def revoke(
    key_id: _KeyId, database_url: Database = DEFAULT_DATABASE, redis_url: _Redis = None
) -> None:
    """Revoke a key; within a second it is refused everywhere."""
    if not _with_keys(
        database_url, lambda keys: keys.revoke_key(key_id, actor=operator()), redis_url
    ):
        raise fail(f"there is no live key {key_id!r}; see `gatehouse keys list`")
    typer.echo(f"{key_id} is revoked.")


@app.command("list")
def list_keys(
    team: Annotated[str | None, typer.Option(help="Only this team's.")] = None,
    database_url: Database = DEFAULT_DATABASE,
) -> None:
    """List keys; their text is not known to anybody but their owners."""
    records = _with_keys(database_url, lambda keys: keys.list_keys(team=team))
    now = datetime.now(UTC)
    show_table(
        ("id", "name", "team", "starts with", "created", "expires", "last used", "state"),
        (
            (
                record.id,
                record.name,
                record.holder.team,
                _prefixes(record, now),
                f"{record.created_at:%Y-%m-%d}",
                _moment(record.expires_at),
                _moment(record.last_used_at),
                record.state(now).value,
            )
            for record in records
        ),
    )


@app.command("show")
def show(key_id: _KeyId, database_url: Database = DEFAULT_DATABASE) -> None:
    """Show what is known of a key: everything but the key."""
    record = _with_keys(database_url, lambda keys: keys.find(key_id))
    if record is None:
        raise fail(f"there is no key {key_id!r}; see `gatehouse keys list`")
    facts = {
        **record.shown(),
        "last_used_at": _moment(record.last_used_at) or None,
        "state": record.state(datetime.now(UTC)).value,
    }
    for name, value in facts.items():
        told = ", ".join(value) if isinstance(value, list) else value
        if told not in (None, ""):
            typer.echo(f"{name}: {told}")


@app.command("check")
def check(database_url: Database = DEFAULT_DATABASE) -> None:
    """Read a key from standard input and say what it is; it is not printed.

    Ends with 0 for a live key only.
    """
    with needs("service"):
        from policy_service.keys import is_mistyped

    text = sys.stdin.readline().strip()
    if not text:
        raise fail("send the key on standard input")
    if is_mistyped(text):
        typer.echo("mistyped: its checksum is wrong, so it was never a key of ours as it stands")
        raise typer.Exit(1)
    record = _with_keys(database_url, lambda keys: keys.find_by_text(text))
    if record is None:
        typer.echo("unknown: this database has no such key")
        raise typer.Exit(1)
    now = datetime.now(UTC)
    typer.echo(f"{record.state(now).value}: {record.id}, {record.name}, {_ended(record)}")
    if not record.is_live(now):
        raise typer.Exit(1)


def _with_keys(
    url: str, work: "Callable[[ApiKeys], Awaitable[T]]", redis_url: str | None = None
) -> T:
    """Work on the keys; with a Redis, have the services look at once what has changed."""
    with needs("service"):
        from policy_service.adapters.redis_changes import RedisWakes
        from policy_service.adapters.sql.keys import ApiKeys

    async def run(engine: "AsyncEngine") -> T:
        done = await work(ApiKeys(engine))
        if redis_url is not None:
            wakes = RedisWakes(redis_url)
            try:
                await wakes.send()
            finally:
                await wakes.close()
        return done

    return with_database(url, run)


def _span(text: str) -> timedelta:
    span = span_of(text)
    if span is None:
        raise fail(f"{text!r} is no time: write 30m, 24h or 90d")
    return span


def _prefixes(record: "KeyRecord", now: datetime) -> str:
    """Of the key's text, and of the one before while that is good."""
    is_former_good = record.former_until is not None and record.former_until > now
    return f"{record.prefix}, {record.former_prefix}" if is_former_good else record.prefix


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def _ended(record: "KeyRecord") -> str:
    if record.revoked_at is not None:
        return f"revoked {_moment(record.revoked_at)}"
    if record.expires_at is not None:
        return f"good until {_moment(record.expires_at)}"
    return "no end"
