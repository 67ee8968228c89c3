"""Which limits are nearly used, or used up."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from llm_core.policy.roles import Permission
from policy_service.api.admins import CurrentActor, nodes_for
from policy_service.api.idempotency import AdminRoute
from policy_service.api.wire import Opened, json_answer

router = APIRouter(prefix="/admin/v1", route_class=AdminRoute)


@router.get("/alerts")
async def alerts(
    opened: Opened,
    actor: CurrentActor,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Limits that passed a soft threshold, the newest first, as far as your roles reach."""
    nodes = nodes_for(actor, Permission.USAGE_READ)
    return json_answer({"rows": await opened.alerts.recent(limit, nodes)})
