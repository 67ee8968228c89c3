"""Roles in the admin API: who holds which, given and taken."""

from collections.abc import Collection
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from llm_core.errors import NotServed
from llm_core.policy.roles import Actor, Grant, Permission, Role, may
from policy_service.api.admins import CurrentActor, nodes_for, require_grantable, require_other
from policy_service.api.etags import IfMatch, Match, etag_of
from policy_service.api.idempotency import AdminRoute
from policy_service.api.organisation import path_of, told_faults
from policy_service.api.wire import Opened, json_answer, read_json
from policy_service.ports.organisation import OrganisationError, RolesCheck
from policy_service.resources import Resources

router = APIRouter(prefix="/admin/v1/roles", route_class=AdminRoute)


@dataclass(frozen=True, slots=True)
class GrantedRole:
    """The body of `PUT` and `DELETE /admin/v1/roles`.

    Args:
        subject: `user:<id>`, `application:<id>` or `group:<name>`.
    """

    role: Role
    node: str
    subject: str


@dataclass(frozen=True, slots=True)
class HeldRoles:
    """The roles that somebody was given, by node, as far as you may see them."""

    subject: str
    rows: list[Grant]


@router.get("")
async def held(subject: str, opened: Opened, actor: CurrentActor) -> Response:
    """The roles that `user:<id>`, `application:<id>` or `group:<name>` was given."""
    nodes_for(actor, Permission.ORGANISATION_READ)
    grants = await opened.administration.grants_of(subject)
    hidden = await _hidden(opened, actor, grants)
    rows = _seen(grants, hidden)
    return json_answer(HeldRoles(subject, rows), headers={"etag": etag_of(rows)})


@router.put("")
async def grant(request: Request, opened: Opened, actor: CurrentActor, match: IfMatch) -> Response:
    """Give a role on a node and below. Nobody can give more than they hold."""
    asked = await read_json(request, GrantedRole)
    with told_faults():
        path = await path_of(opened, asked.node)
        require_grantable(actor, Permission.ROLES_GRANT, Grant(asked.role, asked.node), path)
        require_other(actor, [(asked.role, asked.subject)])
        check = await _check(opened, actor, asked.subject, match)
        is_new = await opened.administration.grant(
            asked.role, asked.node, asked.subject, actor, check=check
        )
    return json_answer({"is_new": is_new})


@router.delete("")
async def take(
    *, role: Role, node: str, subject: str, opened: Opened, actor: CurrentActor, match: IfMatch
) -> Response:
    """Take a role."""
    with told_faults():
        path = await path_of(opened, node)
        require_grantable(actor, Permission.ROLES_GRANT, Grant(role, node), path)
        check = await _check(opened, actor, subject, match)
        if not await opened.administration.take(role, node, subject, actor, check=check):
            raise NotServed("They do not hold that role there.")
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def _check(opened: Resources, actor: Actor, subject: str, match: Match) -> RolesCheck:
    """Compares what the actor was shown of somebody's roles with what they hold now."""
    hidden = await _hidden(opened, actor, await opened.administration.grants_of(subject))
    # What comes meanwhile is not hidden: rather one is told to look again.
    return match.check(lambda grants: _seen(grants, hidden))


async def _hidden(opened: Resources, actor: Actor, grants: Collection[Grant]) -> frozenset[str]:
    """The nodes of these that the actor does not see."""
    nodes = {one.node for one in grants}
    return frozenset([node for node in nodes if not await _may_see(opened, actor, node)])


async def _may_see(opened: Resources, actor: Actor, node: str) -> bool:
    try:
        path = await path_of(opened, node)
    except OrganisationError:  # the node is gone
        return False
    return may(actor.grants, Permission.ORGANISATION_READ, path)


def _seen(grants: Collection[Grant], hidden: Collection[str]) -> list[Grant]:
    return [one for one in grants if one.node not in hidden]
