"""Which limits are nearly used, or used up."""

from datetime import datetime

from fastapi import APIRouter, Response

from llm_core.policy.roles import Permission
from policy_service.api.admins import CurrentActor, nodes_for
from policy_service.api.idempotency import AdminRoute
from policy_service.api.paging import AskedPage, Pages
from policy_service.api.wire import Opened, json_answer
from policy_service.ports.alerts import Alert, Passed

router = APIRouter(prefix="/admin/v1", route_class=AdminRoute)
_PASSED: Pages[Passed] = Pages("alerts", tuple[datetime, int, str, str])


@router.get("/alerts")
async def alerts(opened: Opened, actor: CurrentActor, page: AskedPage) -> Response:
    """Limits that passed a soft threshold, the newest first, as far as your roles reach."""
    nodes = nodes_for(actor, Permission.USAGE_READ)
    found = await opened.alerts.recent(page.wanted, nodes, after=_PASSED.after(page))
    rows, following = _PASSED.cut(found, page, _place)
    return json_answer({"rows": rows, "next": following})


def _place(alert: Alert) -> Passed:
    return alert.at, alert.percent, alert.limit_key, alert.period
