"""Limits in the admin API, and what raises them for a while."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response

from llm_core.answer_headers import plain
from llm_core.errors import MalformedRequest, NotServed, PermissionDenied
from llm_core.policy.limits import Limit, Measure
from llm_core.policy.roles import Actor, Permission, may
from policy_service.api.admins import CurrentActor, nodes_for, require
from policy_service.api.etags import IfMatch, etag_of
from policy_service.api.idempotency import AdminRoute
from policy_service.api.organisation import told_faults
from policy_service.api.paging import AskedLongPage, Pages
from policy_service.api.wire import Opened, json_answer, read_json
from policy_service.ports.organisation import OrganisationError
from policy_service.resources import Resources

router = APIRouter(prefix="/admin/v1/limits", route_class=AdminRoute)
_WITHOUT_ROWS = ("user", "application")
_LIMITS = Pages("limits", tuple[str, str, str])
_RAISES = Pages("raises", tuple[datetime, str])


@dataclass(frozen=True, slots=True)
class NewLimit:
    """The body of `PUT /admin/v1/limits`; see `llm_core.policy.limits.Limit`."""

    node: str
    measure: Measure
    amount: Decimal
    scope: str = ""
    interactive_share: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class NewRaise:
    """The body of `POST /admin/v1/limits/raises`.

    Args:
        amount: How much more, in the limit's unit.
        until: With a zone; within a year.
    """

    node: str
    measure: Measure
    amount: Decimal
    until: datetime
    reason: str
    scope: str = ""


@router.get("")
async def limits(
    opened: Opened, actor: CurrentActor, page: AskedLongPage, node: str | None = None
) -> Response:
    """The limits that you may see, by node, with their models and raises."""
    found = [one for one in await opened.administration.limits() if node in (None, one.node)]
    if nodes_for(actor, Permission.ORGANISATION_READ) is not None:
        nodes = {one.node for one in found}
        seen = {one for one in nodes if await _may_see(opened, actor, one)}
        found = [one for one in found if one.node in seen]
    rows, following = _LIMITS.page_of(found, page, lambda one: (one.node, one.scope, one.measure))
    shown = [{**asdict(one), "etag": etag_of(_tagged(asdict(one)))} for one in rows]
    return json_answer({"rows": shown, "next": following})


@router.put("")
async def put(request: Request, opened: Opened, actor: CurrentActor, match: IfMatch) -> Response:
    """Set a limit, or change it."""
    asked = await read_json(request, NewLimit)
    limit = Limit(
        asked.node,
        asked.measure,
        asked.amount,
        scope=asked.scope,
        interactive_share=asked.interactive_share,
    )
    with told_faults():
        _require_above(actor, Permission.LIMITS_WRITE, await _path(opened, asked.node))
        await opened.administration.put_limit(limit, actor, check=match.check(_tagged))
    await opened.changes.announce()
    return json_answer(asked, headers={"etag": etag_of(_tagged(asdict(limit)))})


@router.delete("")
async def lift(
    *,
    node: str,
    measure: Measure,
    opened: Opened,
    actor: CurrentActor,
    match: IfMatch,
    scope: str = "",
) -> Response:
    """Lift a limit, and what raises it."""
    with told_faults():
        _require_above(actor, Permission.LIMITS_WRITE, await _path(opened, node))
        check = match.check(_tagged)
        if not await opened.administration.remove_limit(node, measure, scope, actor, check=check):
            raise NotServed("There is no such limit.")
    await opened.changes.announce()
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.get("/raises")
async def raises(
    opened: Opened,
    actor: CurrentActor,
    page: AskedLongPage,
    node: str | None = None,
    with_past: bool = False,
) -> Response:
    """Raises that hold or will, by their beginning; with the past ones too if asked for."""
    found = await opened.administration.raises(node, with_past=with_past)
    if nodes_for(actor, Permission.ORGANISATION_READ) is not None:
        found = tuple([one for one in found if await _may_see(opened, actor, one.node)])
    rows, following = _RAISES.page_of(found, page, lambda one: (one.starts_at, one.id))
    return json_answer({"rows": rows, "next": following})


@router.post("/raises")
async def raise_limit(request: Request, opened: Opened, actor: CurrentActor) -> Response:
    """Give more than a limit's amount, from now on until then."""
    asked = await read_json(request, NewRaise)
    if asked.until.tzinfo is None:
        raise MalformedRequest("Write `until` with its zone, for example `...Z`.", param="until")
    with told_faults():
        _require_above(actor, Permission.LIMITS_RAISE, await _path(opened, asked.node))
        made = await opened.administration.raise_limit(
            asked.node,
            asked.scope,
            asked.measure,
            asked.amount,
            until=asked.until,
            author=actor,
            reason=asked.reason,
        )
    await opened.changes.announce()
    return json_answer(made, HTTPStatus.CREATED)


@router.delete("/raises/{raise_id}")
async def withdraw(raise_id: str, opened: Opened, actor: CurrentActor) -> Response:
    """End a raise now."""
    found = await opened.administration.find_raise(raise_id)
    if found is None:
        nodes_for(actor, Permission.LIMITS_RAISE)
        raise NotServed("There is no raise of that id.")
    with told_faults():
        # Whose raise it is, a refusal does not tell.
        path = (f"raise:{raise_id}", *await _path(opened, found.node))
        require(actor, Permission.LIMITS_RAISE, path)
        if not await opened.administration.withdraw_raise(raise_id, actor):
            raise NotServed("The raise is over already.")
    await opened.changes.announce()
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _tagged(record: Mapping[str, Any]) -> list[str]:
    """What a limit's ETag is of: raises come and go beside it."""
    amounts = (plain(Decimal(record[name])) for name in ("amount", "interactive_share"))
    return [record["node"], record["scope"], str(record["measure"]), *amounts]


def _require_above(actor: Actor, permission: Permission, path: tuple[str, ...]) -> None:
    """Let nobody set what binds themselves: a limit is set by who stands above its node.

    Nobody of the company stands above the whole of it, so there its own administrators do.
    """
    is_whole = not path or path[0].startswith("organisation:")
    if not is_whole and not may(actor.grants, permission, path[1:]):
        raise PermissionDenied(
            f"None of your roles permits `{permission}` above `{path[0]}`: who has a limit does "
            "not set it. Ask whoever manages the unit above."
        )
    require(actor, permission, path)


async def _path(opened: Resources, node: str) -> tuple[str, ...]:
    """Where a limit's node stands; who is known by keys alone stands below the platform only."""
    try:
        return await opened.administration.path_of(node)
    except OrganisationError:
        if node.partition(":")[0] in _WITHOUT_ROWS:
            return ()
        raise


async def _may_see(opened: Resources, actor: Actor, node: str) -> bool:
    try:
        path = await _path(opened, node)
    except OrganisationError:
        return False
    return may(actor.grants, Permission.ORGANISATION_READ, path)
