"""Approvals in the admin API: who is signed in asks, and who may decide does.

A request is seen by whoever asked, and by whoever may see the team or decide for it.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request, Response

from llm_core.errors import MalformedRequest, NotServed
from llm_core.policy.approvals import ApprovalState, Step
from llm_core.policy.roles import PLATFORM, Actor, Permission, granted_on, may
from policy_service.api.admins import CurrentActor, require
from policy_service.api.idempotency import AdminRoute
from policy_service.api.organisation import told_faults
from policy_service.api.paging import AskedPage, Pages
from policy_service.api.wire import Opened, json_answer, read_json
from policy_service.ports.approvals import ApprovalRecord
from policy_service.ports.organisation import OrganisationError
from policy_service.resources import Resources
from policy_service.services.approvals import (
    Place,
    ShownApproval,
    Wanted,
    may_be_for,
    shown,
    told_refusals,
)

router = APIRouter(prefix="/admin/v1/approvals", route_class=AdminRoute)
_SEES = (Permission.ORGANISATION_READ, Permission.APPROVALS_DECIDE)
_PAGES = Pages("approvals", tuple[str])
_OWN_KINDS = ("user", "application")


class Granted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a grant; what is left out is granted as it was asked for.

    Args:
        amount_usd: Another amount: less is a cut, more an extension.
        until: Another end, with its zone.
    """

    amount_usd: Decimal | None = None
    until: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """The body of a step that ends a request or a grant."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class ListedApprovals:
    """Some requests."""

    rows: list[ShownApproval]
    next: str | None


@router.get("")
async def listed(
    opened: Opened,
    actor: CurrentActor,
    page: AskedPage,
    *,
    state: ApprovalState | None = None,
    model: str | None = None,
    team: str | None = None,
    before: Annotated[str | None, Query(deprecated=True, description="A page's last id.")] = None,
) -> Response:
    """Requests that you may see, the newest first."""
    nodes = {node for one in _SEES for node in granted_on(actor.grants, one)}
    place = _PAGES.after(page) or (before,)
    found = await opened.approvals.listed(
        nodes=None if PLATFORM in nodes else nodes,
        own=actor,
        state=state,
        model=model,
        team=team,
        before=place[0],
        most=page.wanted,
    )
    rows, following = _PAGES.cut(found, page, lambda one: (one.id,))
    return json_answer({"rows": [shown(one) for one in rows], "next": following})


@router.get("/{approval_id}")
async def show(approval_id: str, opened: Opened, actor: CurrentActor) -> Response:
    """One request with its history."""
    return json_answer(shown(await _seen(opened, actor, approval_id)))


@router.post("")
async def ask(request: Request, opened: Opened, actor: CurrentActor) -> Response:
    """Ask for an approval, for yourself, or with `for` for a part of the company."""
    wanted = await read_json(request, Wanted)
    with told_faults():
        place = await _place(opened, actor, wanted.node)
    identities = (actor.name, *actor.also)
    record, is_new = await opened.approval_desk.ask(actor, identities, place, wanted)
    status = HTTPStatus.CREATED if is_new else HTTPStatus.OK
    return json_answer(shown(record) | {"is_new": is_new}, status)


@router.post("/{approval_id}/grant")
async def grant(
    approval_id: str, request: Request, opened: Opened, actor: CurrentActor
) -> Response:
    """Grant what was asked for, or less, or more; never to yourself."""
    asked = await read_json(request, Granted) if await request.body() else Granted()
    await _seen(opened, actor, approval_id)
    with told_refusals():
        record = await opened.approvals.grant(
            approval_id,
            actor,
            amount_usd=asked.amount_usd,
            until=asked.until,
            reason=asked.reason,
        )
    return await _done(opened, record)


@router.post("/{approval_id}/refuse")
async def refuse(
    approval_id: str, request: Request, opened: Opened, actor: CurrentActor
) -> Response:
    """Refuse, with the reason."""
    return await _end(opened, actor, approval_id, Step.REFUSE, request)


@router.post("/{approval_id}/withdraw")
async def withdraw(
    approval_id: str, request: Request, opened: Opened, actor: CurrentActor
) -> Response:
    """Take your own request back."""
    return await _end(opened, actor, approval_id, Step.WITHDRAW, request)


@router.post("/{approval_id}/revoke")
async def revoke(
    approval_id: str, request: Request, opened: Opened, actor: CurrentActor
) -> Response:
    """End a grant now, with the reason."""
    return await _end(opened, actor, approval_id, Step.REVOKE, request)


async def _end(
    opened: Resources, actor: Actor, approval_id: str, step: Step, request: Request
) -> Response:
    said = await read_json(request, Said) if await request.body() else Said()
    await _seen(opened, actor, approval_id)
    with told_refusals():
        record = await opened.approvals.end(approval_id, step, actor, said.reason)
    return await _done(opened, record)


async def _done(opened: Resources, record: ApprovalRecord | None) -> Response:
    if record is None:
        raise _unknown()
    await opened.changes.announce()
    return json_answer(shown(record))


async def _seen(opened: Resources, actor: Actor, approval_id: str) -> ApprovalRecord:
    """A request that the actor may see; for everybody else it is not there."""
    found = await opened.approvals.find(approval_id)
    if found is None:
        raise _unknown()
    path = (
        *([f"project:{found.project}"] if found.project else []),
        f"team:{found.team}",
        f"department:{found.department}",
        f"organisation:{found.organisation}",
    )
    if any(may(actor.grants, one, path) for one in _SEES):
        return found
    if await opened.approvals.is_of(approval_id, actor):
        return found
    raise _unknown()


def _unknown() -> NotServed:
    return NotServed("There is no approval of that id, or none that you may see.")


async def _place(opened: Resources, actor: Actor, node: str | None) -> Place:
    """Where the request stands: at the actor's own place, or at a part that they may ask for."""
    own: tuple[str, ...] = ()
    if actor.name.partition(":")[0] in _OWN_KINDS:
        try:
            own = await opened.administration.path_of(actor.name)
        except OrganisationError:
            own = ()
    if node is None and not own:
        raise MalformedRequest(
            "Say in `for` whom the approval is for: user:, application:, project: or team: and an "
            "id.",
            param="for",
        )
    path = own if node is None or node in own else await opened.administration.path_of(node)
    if path is not own:
        require(actor, Permission.APPROVALS_ASK, path)
    chosen = node or own[0]
    path = path[path.index(chosen) :]
    return _place_of(path, may_be_for(path)[:1])


def _place_of(path: tuple[str, ...], nodes: tuple[str, ...]) -> Place:
    named: dict[str, Any] = {kind: name for kind, _, name in (one.partition(":") for one in path)}
    if "team" not in named or not nodes:
        raise MalformedRequest(
            "An approval is for a team, or for somebody or something in one.", param="for"
        )
    return Place(
        organisation=named["organisation"],
        department=named["department"],
        team=named["team"],
        project=named.get("project"),
        nodes=nodes,
    )
