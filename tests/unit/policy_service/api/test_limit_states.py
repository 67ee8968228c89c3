"""Where limits stand: what calls used, what those under way hold, what raises add."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from llm_core.policy.caller import Caller
from llm_core.policy.decision import DecisionRequest, Transport, UsageReport
from llm_core.policy.roles import Grant, Role
from llm_core.tokens.usage import TokenUsage
from policy_service.services.administrators import ROOT
from tests.fakes.running_service import ADMIN, Api
from tests.fakes.samples import chat_body, chat_call

pytestmark = pytest.mark.asyncio(loop_scope="module")

STATES = "/admin/v1/limits/states"


async def state(api: Api, measure: str, **params: str) -> dict[str, Any]:
    rows = (await api.get(STATES, node="team:search", **params)).json()["rows"]
    [found] = [one for one in rows if one["measure"] == measure]
    assert isinstance(found, dict)
    return found


async def test_a_call_under_way_is_used_and_reserved_until_it_is_over(api: Api) -> None:
    fresh = await state(api, "usd_per_month")
    assert (fresh["used"], fresh["reserved"], fresh["left"]) == ("0", "0", "100")
    assert fresh["resets_at"] == "2026-12-01T00:00:00Z"
    idle = await state(api, "requests_per_minute")
    assert (idle["amount"], idle["resets_at"]) == ("1000", None)
    caller = msgspec.convert(await api.caller(), Caller)
    asked = msgspec.to_builtins(DecisionRequest(caller, chat_call(chat_body())))
    decided = (await api.post("/v1/decisions", asked)).json()
    assert decided["ticket"], decided
    held = await state(api, "usd_per_month")
    assert Decimal(held["used"]) == Decimal(held["reserved"]) > 0
    assert Decimal(held["left"]) == 100 - Decimal(held["used"])
    busy = await state(api, "requests_per_minute")
    assert (busy["used"], busy["reserved"]) == ("1", "1")
    assert busy["resets_at"] is not None
    usage = TokenUsage(1, output_tokens=1)
    report = UsageReport("openai-mini", Transport.DIRECT, 200, usage=usage)
    path = f"/v1/decisions/{decided['decision_id']}/usage"
    done = await api.post(path, msgspec.to_builtins(report))
    assert done.status_code == 200, done.text
    after = await state(api, "usd_per_month")
    assert after["reserved"] == "0"
    assert Decimal(0) < Decimal(after["used"]) < Decimal(held["used"])


async def test_a_raise_is_told_apart(api: Api) -> None:
    more = {
        "node": "team:search",
        "measure": "usd_per_month",
        "amount": "50",
        "until": (api.clock() + timedelta(days=1)).isoformat(),
        "reason": "launch",
    }
    assert (await api.post("/admin/v1/limits/raises", more, ADMIN)).status_code == 201
    told = await state(api, "usd_per_month")
    assert (told["amount"], told["raised"]) == ("100", "50")
    assert Decimal(told["left"]) == 150 - Decimal(told["used"])


async def test_only_limits_at_or_below_ones_roles_are_told(api: Api) -> None:
    key = (await api.get("/admin/v1/keys")).json()["rows"][0]["id"]
    for node in (f"key:{key}", "department:engineering", "user:elsewhere"):
        limit = {"node": node, "measure": "usd_per_day", "amount": "5"}
        assert (
            await api.client.put("/admin/v1/limits", json=limit, headers=ADMIN)
        ).status_code == 200
    made = await api.opened.admin_tokens.issue(
        ROOT, "seer", (Grant(Role.MEMBER, "team:search"),), None
    )
    headers = {"authorization": f"Bearer {made.text}"}
    rows = (await api.client.get(STATES, headers=headers)).json()["rows"]
    assert {one["node"] for one in rows} == {"team:search", f"key:{key}"}
    everything = (await api.get(STATES)).json()["rows"]
    assert {one["node"] for one in everything} >= {"user:elsewhere", "department:engineering"}
