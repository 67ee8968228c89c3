"""`gatehouse keys`: issue, rotate, revoke, list and check API keys."""

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from llm_core.operation import Operation
from llm_core.policy.limits import Priority
from policy_service.cli.failures import fail, needs
from policy_service.cli.key_places import Key, keys_at
from policy_service.cli.login import Token
from policy_service.cli.places import AnyDatabase, AnyServer, place_of
from policy_service.cli.tables import AsJson, print_json, show_table
from policy_service.cli.times import asked_span, minute

app = typer.Typer(no_args_is_help=True, help="API keys: what software calls the gateway with.")
_Redis = Annotated[
    str | None,
    typer.Option(
        "--redis-url",
        envvar="POLICY_REDIS_URL",
        help="With --database-url: the services' Redis, to have the change heard at once; without "
        "it they look by themselves every 0.3 s.",
    ),
]
_KeyId = Annotated[str, typer.Argument(help="The key's id, from `gatehouse keys list`.")]
_Expires = Annotated[str | None, typer.Option(help="For how long it is good: 12h, 90d.")]
_IfMatch = Annotated[
    str | None,
    typer.Option(help="Only if nobody has changed it since: the `etag` of `gatehouse keys show`."),
]


@app.command("issue")
def issue(
    *,
    context: typer.Context,
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
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
    as_json: AsJson = False,
) -> None:
    """Issue a key, and print it, once; nobody can show it again.

    For example: gatehouse keys issue --team search --name laptop --user alice --expires 90d
    """
    asked = {
        "name": name,
        "team": team,
        "project": project,
        "user": user,
        "application": application,
        "allowed_models": None if model is None else tuple(model),
        "operations": tuple(operation or ()),
        "networks": tuple(network or ()),
        "priority": priority,
        "expires_at": None if expires is None else datetime.now(UTC) + asked_span(expires),
    }
    with keys_at(place_of(context, server, token, database_url)) as keys:
        made = keys.issue(asked)
    _print_new(made, as_json=as_json)


@app.command("rotate")
def rotate(
    *,
    context: typer.Context,
    key_id: _KeyId,
    overlap: Annotated[str, typer.Option(help="For how long the old text stays good.")] = "24h",
    expires: _Expires = None,
    if_match: _IfMatch = None,
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
    redis_url: _Redis = None,
    as_json: AsJson = False,
) -> None:
    """Give a key a new text, and print it, once.

    The key stays the same, with its limits and what is used of them. Left out, the new text is good
    for as long as the old one was meant to be. A still older one ends at once.
    """
    expires_at = None if expires is None else datetime.now(UTC) + asked_span(expires)
    span = asked_span(overlap)
    with keys_at(place_of(context, server, token, database_url), redis_url) as keys:
        made = keys.rotate(key_id, span, expires_at, if_match)
    if made["ended_prefix"] is not None:
        typer.echo(f"The older one, {made['ended_prefix']}..., has ended.", err=True)
    _print_new(made, as_json=as_json)


@app.command("revoke")
def revoke(
    *,
    context: typer.Context,
    key_id: _KeyId,
    if_match: _IfMatch = None,
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
    redis_url: _Redis = None,
) -> None:
    """Revoke a key; within a second it is refused everywhere."""
    with keys_at(place_of(context, server, token, database_url), redis_url) as keys:
        keys.revoke(key_id, if_match)
    typer.echo(f"{key_id} is revoked.")


@app.command("list")
def list_keys(
    *,
    context: typer.Context,
    team: Annotated[str | None, typer.Option(help="Only this team's.")] = None,
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
    as_json: AsJson = False,
) -> None:
    """List keys that you may see; their text is not known to anybody but their owners."""
    with keys_at(place_of(context, server, token, database_url)) as keys:
        found = keys.listed(team)
    if as_json:
        print_json(found)
        return
    show_table(
        ("id", "name", "team", "starts with", "created", "expires", "last used", "state"),
        (
            (
                one["id"],
                one["name"],
                one["team"],
                _prefixes(one),
                one["created_at"][:10],
                minute(one["expires_at"]),
                minute(one["last_used_at"]),
                one["state"],
            )
            for one in found
        ),
    )


@app.command("show")
def show(
    *,
    context: typer.Context,
    key_id: _KeyId,
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
    as_json: AsJson = False,
) -> None:
    """Show what is known of a key: everything but its text."""
    with keys_at(place_of(context, server, token, database_url)) as keys:
        facts = keys.find(key_id)
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        told = ", ".join(value) if isinstance(value, list) else value
        if told not in (None, ""):
            typer.echo(f"{name}: {told}")


@app.command("check")
def check(
    *,
    context: typer.Context,
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
) -> None:
    """Read a key from standard input and say what it is, for example one found in a log.

    It is neither printed nor sent: a service is asked for the keys that you may see, and it is
    compared with how they begin. Ends with 0 for a live key only.

    For example: gatehouse keys check < found.txt
    """
    with needs("service"):
        from policy_service.keys import is_mistyped

    place = place_of(context, server, token, database_url)
    text = sys.stdin.readline().strip()
    if not text:
        raise fail("send the key on standard input: `gatehouse keys check < found.txt`")
    if is_mistyped(text):
        typer.echo("mistyped: its checksum is wrong, so it was never a key of ours as it stands")
        raise typer.Exit(1)
    with keys_at(place) as keys:
        found = keys.find_by_text(text)
    if found is None:
        where = "this database has" if place.server is None else "you may see"
        typer.echo(f"unknown: {where} no such key")
        raise typer.Exit(1)
    typer.echo(f"{found['state']}: {found['id']}, {found['name']}, {_end(found)}")
    if found["state"] != "live":
        raise typer.Exit(1)


def _print_new(made: Key, *, as_json: bool) -> None:
    """To standard output, where it is wanted; it is in no log and in no other answer."""
    if as_json:
        print_json(made)
        return
    typer.echo(made["key"])


def _prefixes(key: Key) -> str:
    """Of the key's text, and of the one before while that is good."""
    until = key["former_until"]
    is_former_good = until is not None and datetime.fromisoformat(until) > datetime.now(UTC)
    return f"{key['prefix']}, {key['former_prefix']}" if is_former_good else str(key["prefix"])


def _end(key: Key) -> str:
    if key["revoked_at"] is not None:
        return f"revoked {minute(key['revoked_at'])}"
    if key["expires_at"] is not None:
        return f"good until {minute(key['expires_at'])}"
    return "no end"
