"""What managers and automation read: who they are, and the usage that is theirs to see."""

import re
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Response

from llm_core.errors import MalformedRequest
from llm_core.policy.roles import ROLES, Grant, Permission
from policy_service.api.admins import CurrentActor, nodes_for
from policy_service.api.idempotency import AdminRoute
from policy_service.api.paging import AskedShortPage, Pages
from policy_service.api.reading import zone_of
from policy_service.api.wire import Opened, json_answer

router = APIRouter(prefix="/admin/v1", route_class=AdminRoute)
_RECENT = Pages("recent", tuple[datetime, str])
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True)
class Held:
    """A role that the actor holds, and what it permits on its node and below."""

    role: str
    node: str
    permissions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WhoAmI:
    """Who the bearer token speaks of.

    Args:
        name: As the audit trail has it: `user:alice`, `admin_token:ci`, `root_token`.
        proof: `oidc`, `admin_token` or `root_token`.
        time_zone: In which the organisations whose usage they see begin their days and months;
            UTC where these differ, or where they see none.
    """

    name: str
    proof: str
    grants: tuple[Held, ...]
    time_zone: str


@router.get("/whoami")
async def whoami(opened: Opened, actor: CurrentActor) -> Response:
    """Who you are here, and what you may do; for whoever has a good token, even with no role."""
    zone = await zone_of(opened, actor)
    return json_answer(WhoAmI(actor.name, actor.proof, tuple(map(_held, actor.grants)), zone))


@router.get("/usage/spend")
async def spend(month: str, opened: Opened, actor: CurrentActor) -> Response:
    """Spend of a month by department, team and model, as far as your roles reach."""
    nodes = nodes_for(actor, Permission.USAGE_READ)
    rows = await opened.reports.spend(_checked(month), nodes=nodes)
    return json_answer({"month": month, "rows": rows})


@router.get("/usage/recent")
async def recent(opened: Opened, actor: CurrentActor, page: AskedShortPage) -> Response:
    """The newest calls, as far as your roles reach."""
    nodes = nodes_for(actor, Permission.USAGE_READ)
    after = _RECENT.after(page)
    found = await opened.reports.recent(page.wanted, nodes=nodes, after=after)
    rows, following = _RECENT.cut(found, page, lambda one: (one.at, one.decision_id))
    return json_answer({"rows": rows, "next": following})


@router.get("/budgets")
async def budgets(month: str, opened: Opened, actor: CurrentActor) -> Response:
    """Every team's budget, and what is used of it, as far as your roles reach."""
    nodes = nodes_for(actor, Permission.USAGE_READ)
    rows = await opened.reports.budgets(_checked(month), nodes=nodes)
    return json_answer({"month": month, "rows": rows})


def _held(grant: Grant) -> Held:
    permissions = tuple(sorted(one.value for one in ROLES[grant.role]))
    return Held(grant.role.value, grant.node, permissions)


def _checked(month: str) -> str:
    if not _MONTH.fullmatch(month):
        raise MalformedRequest("Write the month as YYYY-MM, for example 2026-11.", param="month")
    return month
