"""`gatehouse admin-tokens`: tokens for automation that uses the admin API.

The first one is made at the database, before anybody can sign in.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
import typer

from llm_core.policy.roles import PLATFORM, Grant, Role
from policy_service.cli.asking import asking, every_row
from policy_service.cli.database import operator, with_database
from policy_service.cli.failures import fail, misused, needs
from policy_service.cli.login import Token
from policy_service.cli.places import AnyDatabase, AnyServer, Place, place_of
from policy_service.cli.server import path_part
from policy_service.cli.tables import AsJson, print_json, show_table
from policy_service.cli.times import minute, span_of

if TYPE_CHECKING:
    from policy_service.adapters.sql.admin_tokens import SqlAdminTokens

T = TypeVar("T")
app = typer.Typer(no_args_is_help=True, help="Admin tokens: for automation of the admin API.")
_PATH = "/admin/v1/admin-tokens"


@app.command("issue")
def issue(
    *,
    context: typer.Context,
    name: Annotated[str, typer.Option(help="A name; the audit trail has it.")],
    grant: Annotated[
        list[str],
        typer.Option(
            help="<role>@<node>, as often as needed: org_admin@organisation:acme, "
            f"auditor@{PLATFORM}."
        ),
    ],
    expires: Annotated[str, typer.Option(help="30m, 12h, 90d, or never.")] = "90d",
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
    as_json: AsJson = False,
) -> None:
    """Issue a token, and print it, once; at a service it may do no more than you may.

    For example: gatehouse admin-tokens issue --name ci --grant org_admin@organisation:acme

    The first one, before anybody can sign in: the same with --database-url.
    """
    grants = tuple(_grant(text) for text in grant)
    place = place_of(context, server, token, database_url)
    made = _issued(place, name, grants, _moment(expires))
    if as_json:
        print_json(made)
        return
    typer.echo(made["token"])


@app.command("list")
def list_tokens(
    *,
    context: typer.Context,
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
    as_json: AsJson = False,
) -> None:
    """List tokens, the newest first; their text is not known to anybody but their holders."""
    place = place_of(context, server, token, database_url)
    if place.server is None:
        found = [_plain(one) for one in _with_tokens(place, lambda tokens, _: tokens.list_tokens())]
    else:
        with asking(place.server, place.token) as api:
            found = list(every_row(api, _PATH, {}))
    if as_json:
        print_json(found)
        return
    now = datetime.now(UTC)
    show_table(
        ("id", "name", "starts with", "may", "created", "expires", "last used", "state"),
        (
            (
                one["id"],
                one["name"],
                one["prefix"],
                "\n".join(f"{grant['role']}@{grant['node']}" for grant in one["grants"]),
                f"{one['created_at'][:10]} by {one['created_by']}",
                minute(one["expires_at"]) or "never",
                minute(one["last_used_at"]),
                _state(one, now),
            )
            for one in found
        ),
    )


@app.command("revoke")
def revoke(
    *,
    context: typer.Context,
    token_id: Annotated[str, typer.Argument(help="From `gatehouse admin-tokens list`.")],
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
) -> None:
    """Revoke a token; its next request is refused."""
    place = place_of(context, server, token, database_url)
    if place.server is not None:
        with asking(place.server, place.token) as api:
            api.ask("DELETE", f"{_PATH}/{path_part(token_id)}")
    elif not _with_tokens(place, lambda tokens, _: tokens.revoke(operator(), token_id)):
        raise fail(f"there is no live admin token {token_id!r}; see `gatehouse admin-tokens list`")
    typer.echo(f"{token_id} is revoked.")


def _issued(
    place: Place, name: str, grants: tuple[Grant, ...], expires_at: datetime | None
) -> dict[str, Any]:
    """As `POST /admin/v1/admin-tokens` answers."""
    if place.server is not None:
        body = {"name": name, "grants": grants, "expires_at": expires_at}
        with asking(place.server, place.token) as api:
            told: dict[str, Any] = api.ask("POST", _PATH, body=body)
        return told

    async def work(
        tokens: "SqlAdminTokens", known: "Callable[[str], Awaitable[object]]"
    ) -> dict[str, Any]:
        for one in grants:
            if one.node != PLATFORM:
                await known(one.node)
        made = await tokens.issue(operator(), name, grants, expires_at)
        return {"token": made.text, "record": _plain(made.record)}

    return _with_tokens(place, work)


def _with_tokens(
    place: Place,
    work: "Callable[[SqlAdminTokens, Callable[[str], Awaitable[object]]], Awaitable[T]]",
) -> T:
    with needs("service"):
        from policy_service.adapters.sql.admin_tokens import SqlAdminTokens
        from policy_service.adapters.sql.organisation import Organisation

    return with_database(
        place.database_url,
        lambda engine: work(SqlAdminTokens(engine), Organisation(engine).path_of),
    )


def _plain(record: Any) -> dict[str, Any]:  # noqa: ANN401 - a dataclass
    """As the admin API writes it."""
    row: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(asdict(record)))
    return row


def _grant(text: str) -> Grant:
    role, _, node = text.partition("@")
    if role not in set(Role) or not node:
        raise misused(
            f"{text!r} is no grant: write <role>@<node>, for example org_admin@organisation:acme; "
            f"roles are {', '.join(Role)}"
        )
    if role == Role.PLATFORM_ADMIN and node != PLATFORM:
        raise misused(f"platform_admin is given on {PLATFORM} only")
    return Grant(Role(role), node)


def _moment(text: str) -> datetime | None:
    if text == "never":
        return None
    span = span_of(text)
    if not span:
        raise misused(f"{text!r} is no time: write 30m, 12h, 90d, or never")
    return datetime.now(UTC) + span


def _state(one: dict[str, Any], now: datetime) -> str:
    if one["revoked_at"] is not None:
        return f"revoked {minute(one['revoked_at'])}"
    if one["expires_at"] is not None and datetime.fromisoformat(one["expires_at"]) <= now:
        return "expired"
    return "live"
