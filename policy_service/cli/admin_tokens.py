"""`gatehouse admin-tokens`: tokens for automation that uses the admin API."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from llm_core.policy.roles import PLATFORM, Grant, Role
from policy_service.cli.database import DEFAULT_DATABASE, Database, operator, with_database
from policy_service.cli.failures import fail, needs
from policy_service.cli.tables import show_table
from policy_service.cli.times import span_of

if TYPE_CHECKING:
    from policy_service.adapters.sql.admin_tokens import SqlAdminTokens
    from policy_service.ports.administrators import AdminTokenRecord

T = TypeVar("T")
app = typer.Typer(no_args_is_help=True, help="Admin tokens: for automation of the admin API.")


@app.command("issue")
def issue(
    name: Annotated[str, typer.Option(help="A name; the audit trail has it.")],
    grant: Annotated[
        list[str],
        typer.Option(
            help="<role>@<node>, as often as needed: org_admin@organisation:acme, "
            f"auditor@{PLATFORM}."
        ),
    ],
    expires: Annotated[str, typer.Option(help="30m, 12h, 90d, or never.")] = "90d",
    database_url: Database = DEFAULT_DATABASE,
) -> None:
    """Issue a token, and print it, once.

    Whoever runs this reaches the database, and so may give any role.
    """
    grants = tuple(_grant(text) for text in grant)
    expires_at = _moment(expires)

    async def work(tokens: "SqlAdminTokens", known: "Callable[[str], Awaitable[object]]") -> str:
        for one in grants:
            if one.node != PLATFORM:
                await known(one.node)
        issued = await tokens.issue(operator(), name, grants, expires_at)
        return issued.text

    typer.echo(_with_tokens(database_url, work))


@app.command("list")
def list_tokens(database_url: Database = DEFAULT_DATABASE) -> None:
    """List tokens, the newest first; their text is not known to anybody but their holders."""

    async def work(tokens: "SqlAdminTokens", _: object) -> "tuple[AdminTokenRecord, ...]":
        return await tokens.list_tokens()

    records = _with_tokens(database_url, work)
    now = datetime.now(UTC)
    show_table(
        ("id", "name", "starts with", "may", "created", "expires", "last used", "state"),
        (
            (
                one.id,
                one.name,
                one.prefix,
                "\n".join(f"{grant.role}@{grant.node}" for grant in one.grants),
                f"{one.created_at:%Y-%m-%d} by {one.created_by}",
                f"{one.expires_at:%Y-%m-%d %H:%M}" if one.expires_at else "never",
                f"{one.last_used_at:%Y-%m-%d %H:%M}" if one.last_used_at else "",
                _state(one, now),
            )
            for one in records
        ),
    )


@app.command("revoke")
def revoke(
    token_id: Annotated[str, typer.Argument(help="From `gatehouse admin-tokens list`.")],
    database_url: Database = DEFAULT_DATABASE,
) -> None:
    """Revoke a token; its next request is refused."""

    async def work(tokens: "SqlAdminTokens", _: object) -> bool:
        return await tokens.revoke(operator(), token_id)

    if not _with_tokens(database_url, work):
        raise fail(f"there is no live admin token {token_id!r}; see `gatehouse admin-tokens list`")
    typer.echo(f"{token_id} is revoked.")


def _with_tokens(
    url: str,
    work: "Callable[[SqlAdminTokens, Callable[[str], Awaitable[object]]], Awaitable[T]]",
) -> T:
    with needs("service"):
        from policy_service.adapters.sql.admin_tokens import SqlAdminTokens
        from policy_service.adapters.sql.organisation import Organisation

    return with_database(
        url, lambda engine: work(SqlAdminTokens(engine), Organisation(engine).path_of)
    )


def _grant(text: str) -> Grant:
    role, _, node = text.partition("@")
    if role not in set(Role) or not node:
        raise fail(
            f"{text!r} is no grant: write <role>@<node>, for example org_admin@organisation:acme; "
            f"roles are {', '.join(Role)}"
        )
    if role == Role.PLATFORM_ADMIN and node != PLATFORM:
        raise fail(f"platform_admin is given on {PLATFORM} only")
    return Grant(Role(role), node)


def _moment(text: str) -> datetime | None:
    if text == "never":
        return None
    span = span_of(text)
    if not span:
        raise fail(f"{text!r} is no time: write 30m, 12h, 90d, or never")
    return datetime.now(UTC) + span


def _state(one: "AdminTokenRecord", now: datetime) -> str:
    if one.revoked_at is not None:
        return f"revoked {one.revoked_at:%Y-%m-%d %H:%M}"
    if one.expires_at is not None and one.expires_at <= now:
        return "expired"
    return "live"
