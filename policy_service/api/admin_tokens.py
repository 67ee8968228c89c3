"""Admin tokens for automation: made, listed and revoked by those who may."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from llm_core.errors import MalformedRequest, NotServed, PermissionDenied
from llm_core.policy.roles import PLATFORM, Actor, Grant, Permission, Role, may
from policy_service.api.admins import CurrentActor, nodes_for, require, require_grantable
from policy_service.api.idempotency import AdminRoute
from policy_service.api.paging import AskedLongPage, Pages
from policy_service.api.wire import Opened, json_answer, read_json
from policy_service.ports.administrators import AdminTokenRecord
from policy_service.resources import Resources

router = APIRouter(prefix="/admin/v1/admin-tokens", route_class=AdminRoute)
_PAGES = Pages("admin-tokens", tuple[str])


@dataclass(frozen=True, slots=True)
class NewAdminToken:
    """The body of a `POST`.

    Args:
        name: The audit trail has it, as `admin_token:<name>`.
        expires_at: With a zone; left out: never.
    """

    name: str
    grants: tuple[Grant, ...]
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MadeAdminToken:
    """The answer to it. `token` is shown this once."""

    token: str = field(repr=False)
    record: AdminTokenRecord


@dataclass(frozen=True, slots=True)
class ListedAdminTokens:
    """The answer to a `GET`, the newest first."""

    rows: Sequence[AdminTokenRecord]
    next: str | None


@router.post("")
async def issue(request: Request, opened: Opened, actor: CurrentActor) -> Response:
    """Make a token that may do no more than you may. Its text is in the answer, this once."""
    asked = await read_json(request, NewAdminToken)
    if actor.proof == "admin_token":
        # One that leaked and was revoked must not live on in tokens that it made.
        raise PermissionDenied("An admin token cannot make admin tokens: sign in for that.")
    if asked.expires_at is not None and asked.expires_at.tzinfo is None:
        raise MalformedRequest("Write `expires_at` with its zone, for example `...Z`.")
    for grant in asked.grants:
        if grant.role is Role.PLATFORM_ADMIN and grant.node != PLATFORM:
            raise MalformedRequest(f"`platform_admin` is given on `{PLATFORM}` only.")
        path = await _path(opened, grant.node)
        require_grantable(actor, Permission.ADMIN_TOKENS_WRITE, grant, path)
    try:
        made = await opened.admin_tokens.issue(actor, asked.name, asked.grants, asked.expires_at)
    except ValueError as fault:
        raise MalformedRequest(f"No token was made: {fault}.") from fault
    headers = {"cache-control": "no-store"}
    return json_answer(MadeAdminToken(made.text, made.record), HTTPStatus.CREATED, headers)


@router.get("")
async def list_tokens(opened: Opened, actor: CurrentActor, page: AskedLongPage) -> Response:
    """Every token whose roles all lie where you may read of tokens, the newest first."""
    nodes_for(actor, Permission.ADMIN_TOKENS_READ)
    found = await opened.admin_tokens.list_tokens()
    theirs = [one for one in found if await _is_theirs(opened, actor, one)]
    rows, following = _PAGES.page_of(theirs, page, lambda one: (one.id,), newest_first=True)
    return json_answer(ListedAdminTokens(rows, following))


@router.delete("/{token_id}")
async def revoke(token_id: str, opened: Opened, actor: CurrentActor) -> Response:
    """Revoke a token, at once."""
    found = [one for one in await opened.admin_tokens.list_tokens() if one.id == token_id]
    for grant in found[0].grants if found else ():
        # On what it has its roles, a refusal does not tell.
        path = (f"admin_token:{token_id}", *await _path_if_any(opened, grant.node))
        require(actor, Permission.ADMIN_TOKENS_WRITE, path)
    if not found:
        nodes_for(actor, Permission.ADMIN_TOKENS_WRITE)
    if not found or not await opened.admin_tokens.revoke(actor, token_id):
        raise NotServed("There is no live admin token of that id.")
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def _is_theirs(opened: Resources, actor: Actor, token: AdminTokenRecord) -> bool:
    for grant in token.grants:
        path = await _path_if_any(opened, grant.node)
        if not may(actor.grants, Permission.ADMIN_TOKENS_READ, path):
            return False
    return True


async def _path(opened: Resources, node: str) -> tuple[str, ...]:
    if node == PLATFORM:
        return (PLATFORM,)
    try:
        return await opened.administration.path_of(node)
    except ValueError as fault:
        raise MalformedRequest(f"There is no `{node}` to give a role on.") from fault


async def _path_if_any(opened: Resources, node: str) -> tuple[str, ...]:
    """As `_path`; what is no more stands directly below the platform."""
    try:
        return await _path(opened, node)
    except MalformedRequest:
        return (node,)
