"""Who is told of budgets that run out, from the call to the webhook and the admin API."""

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llm_core.policy.caller import Caller
from llm_core.policy.decision import DecisionRequest
from tests.fakes.running_service import Api, running_service
from tests.fakes.samples import chat_body, chat_call
from tests.fixtures.relaying import serving


async def test_a_budget_that_is_half_used_is_told_by_webhook_and_listed(tmp_path: Path) -> None:
    told: list[Any] = []

    async def take(request: Request) -> Response:
        told.append(json.loads(await request.body()))
        return Response(status_code=204)

    hook = Starlette(routes=[Route("/hook", take, methods=["POST"])])
    async with (
        serving(hook) as url,
        running_service(
            tmp_path, alert_webhook_url=f"{url}/hook", budget_thresholds="50, 80"
        ) as api,
    ):
        # 85 of the team's 100 USD, in one call that was dearer than it was thought to be.
        await spend(api, output_tokens=141_666_666)
        rows: list[Any] = []
        async with asyncio.timeout(60):
            while len(rows) < 2 or len(told) < 2:
                rows = (await api.get("/admin/v1/alerts")).json()["rows"]
        closed = await api.client.get("/admin/v1/alerts")
    assert [(row["limit_key"], row["percent"]) for row in rows] == [
        ("team:search:usd_per_month", 80),
        ("team:search:usd_per_month", 50),
    ]
    assert [one["id"] for one in told] == [
        "team:search:usd_per_month@2026-11@50",
        "team:search:usd_per_month@2026-11@80",
    ]
    assert closed.status_code == 401


async def spend(api: Api, output_tokens: int) -> None:
    """Make a call that uses so much."""
    call = chat_call(chat_body())
    caller = msgspec.convert(await api.caller(), Caller)
    request = DecisionRequest(caller, call)
    decided = await api.post("/v1/decisions", msgspec.json.encode(request))
    report = {
        "deployment_id": "openai-mini",
        "transport": "direct",
        "http_status": 200,
        "usage": {"input_tokens": 0, "output_tokens": output_tokens},
    }
    path = f"/v1/decisions/{decided.json()['decision_id']}/usage"
    assert (await api.post(path, report)).json() == {"outcome": "settled"}
