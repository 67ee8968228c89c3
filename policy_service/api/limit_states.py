"""Where every limit stands."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Response

from llm_core.policy.limits import Limit
from llm_core.policy.roles import Permission
from policy_service.api.admins import CurrentActor, nodes_for
from policy_service.api.idempotency import AdminRoute
from policy_service.api.paging import AskedPage, Pages
from policy_service.api.wire import Opened, json_answer
from policy_service.resources import Resources
from policy_service.services.limit_states import LimitStanding, standings

router = APIRouter(prefix="/admin/v1/limits", route_class=AdminRoute)
_PAGES = Pages("limit-states", tuple[str, str, str])


@dataclass(frozen=True, slots=True)
class ListedStandings:
    """Some limits, by node, scope and measure."""

    rows: Sequence[LimitStanding]
    next: str | None


@router.get("/states")
async def states(
    opened: Opened, actor: CurrentActor, page: AskedPage, node: str | None = None
) -> Response:
    """What is used and left of the limits whose usage you may see."""
    within = nodes_for(actor, Permission.USAGE_READ)
    found = [one for one in await opened.administration.limits() if node in (None, one.node)]
    if within is not None:
        seen = await _nodes(opened, within)
        found = [one for one in found if one.node in seen]
    rows, following = _PAGES.page_of(found, page, _place)
    told = await standings(rows, opened.decider.reserving, opened.clock())
    return json_answer(ListedStandings(told, following))


def _place(limit: Limit) -> tuple[str, str, str]:
    return limit.node, limit.scope, limit.measure.value


async def _nodes(opened: Resources, within: frozenset[str]) -> frozenset[str]:
    """Everything at or below these nodes that can have a limit."""
    parts = await opened.administration.parts(within=within)
    keys = await opened.keys.list_keys(within=within)
    return frozenset([*(subject for subject, _ in parts), *(f"key:{key.id}" for key in keys)])
