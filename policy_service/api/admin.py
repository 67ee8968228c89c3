"""What managers and automation read; the admin token lets them in."""

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from llm_core.errors import MalformedRequest
from policy_service.api.wire import Opened, admin_only, json_answer

router = APIRouter(prefix="/admin/v1", dependencies=[Depends(admin_only)])
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


@router.get("/usage/spend")
async def spend(month: str, opened: Opened) -> Response:
    """Spend of a month by department, team and model."""
    return json_answer({"month": _checked(month), "rows": await opened.reports.spend(month)})


@router.get("/usage/recent")
async def recent(opened: Opened, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> Response:
    """The newest calls."""
    return json_answer({"rows": await opened.reports.recent(limit)})


@router.get("/budgets")
async def budgets(month: str, opened: Opened) -> Response:
    """Every team's budget, and what is used of it."""
    return json_answer({"month": _checked(month), "rows": await opened.reports.budgets(month)})


def _checked(month: str) -> str:
    if not _MONTH.fullmatch(month):
        raise MalformedRequest("Write the month as YYYY-MM, for example 2026-11.", param="month")
    return month
