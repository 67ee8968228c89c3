"""Approvals in the admin API: who sees, who asks, who decides."""

import base64
import json
from dataclasses import fields
from itertools import count
from typing import Any

import httpx
import pytest

from llm_core.policy.roles import Actor, Grant, Role
from policy_service.ports.approvals import ApprovalRecord
from policy_service.services.approvals import ShownApproval
from tests.fakes.running_service import ADMIN, Api

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Actor("test", "test", (Grant(Role.PLATFORM_ADMIN, "platform:*"),))
PATH = "/admin/v1/approvals"
_NUMBERS = count()


async def token(api: Api, role: Role, node: str = "team:search") -> dict[str, str]:
    name = f"approver-{next(_NUMBERS)}"
    made = await api.opened.admin_tokens.issue(ROOT, name, (Grant(role, node),), None)
    return {"authorization": f"Bearer {made.text}"}


async def ask(api: Api, headers: Any = ADMIN, **fields: Any) -> httpx.Response:
    wanted = {"model": "mini", "reason": f"reason {next(_NUMBERS)}", "for": "team:search"}
    return await api.post(PATH, {**wanted, **fields}, headers)


async def withdrawn(api: Api, approval_id: str) -> None:
    """So that the next test may ask again."""
    done = await api.post(f"{PATH}/{approval_id}/withdraw", {}, ADMIN)
    assert done.status_code == 200, done.text


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_a_request_is_made_shown_listed_and_granted(api: Api) -> None:
    made = await ask(api, amount_usd="20")
    assert (made.status_code, made.json()["is_new"]) == (201, True)
    again = await ask(api)
    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
    path = f"{PATH}/{made.json()['id']}"
    shown = (await api.get(path)).json()
    assert (shown["state"], shown["asked_usd"], shown["for"]) == ("requested", "20", "team:search")
    assert [one["step"] for one in shown["steps"]] == ["request"]
    approver = await token(api, Role.APPROVER)
    granted = await api.post(f"{path}/grant", {"amount_usd": "5", "reason": "less"}, approver)
    assert (granted.status_code, granted.json()["granted_usd"]) == (200, "5")
    rows = (await api.get(PATH, state="granted")).json()["rows"]
    assert [row["id"] for row in rows] == [made.json()["id"]]
    assert [one["step"] for one in rows[0]["steps"]] == ["request", "grant"]
    assert (await api.get(PATH, before=made.json()["id"])).json()["rows"] == []
    assert code_of(await api.post(f"{path}/grant", {}, approver)) == (409, "conflict")
    assert code_of(await api.post(f"{path}/revoke", {}, approver)) == (400, "malformed_request")
    done = await api.post(f"{path}/revoke", {"reason": "enough"}, approver)
    assert done.json()["state"] == "revoked"


async def test_nobody_grants_what_they_asked_for(api: Api) -> None:
    made = await ask(api)
    path = f"{PATH}/{made.json()['id']}"
    refused = await api.post(f"{path}/grant", {}, ADMIN)
    assert code_of(refused) == (403, "permission_denied")
    assert "Whoever asked" in refused.json()["error"]["message"]
    await withdrawn(api, made.json()["id"])


async def test_who_may_not_decide_there_does_not(api: Api) -> None:
    made = await ask(api)
    path = f"{PATH}/{made.json()['id']}"
    owner = await token(api, Role.TEAM_OWNER)
    assert code_of(await api.post(f"{path}/refuse", {"reason": "no"}, owner)) == (
        403,
        "permission_denied",
    )
    stranger = await token(api, Role.APPROVER, "organisation:elsewhere")
    for way in ("grant", "refuse", "withdraw", "revoke"):
        assert code_of(await api.post(f"{path}/{way}", {}, stranger)) == (404, "not_found")
    assert code_of(await api.client.get(path, headers=stranger)) == (404, "not_found")
    seen = await api.client.get(PATH, headers=stranger)
    assert seen.json()["rows"] == []
    await withdrawn(api, made.json()["id"])


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"for": None}, 400, "for"),
        ({"for": "organisation:acme"}, 400, "for"),
        ({"for": "team:nowhere"}, 400, None),
        ({"for": "user:stranger"}, 400, None),
        ({"model": "nothing"}, 404, "model"),
        ({"model": "group:none"}, 400, "model"),
        ({"reason": ""}, 400, "reason"),
        ({"amount_usd": "0"}, 400, "amount_usd"),
        ({"until": "2020-01-01T00:00:00Z"}, 400, "until"),
        ({"days": 3}, 400, None),
    ],
)
async def test_what_makes_no_sense_is_told(
    api: Api, fields: dict[str, Any], status: int, param: str | None
) -> None:
    answer = await ask(api, **fields)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param), answer.text


async def test_one_asks_for_what_one_sees_and_for_nothing_else(api: Api) -> None:
    stranger = await token(api, Role.TEAM_OWNER, "organisation:elsewhere")
    assert code_of(await ask(api, stranger)) == (403, "permission_denied")
    owner = await token(api, Role.TEAM_OWNER)
    made = await ask(api, owner)
    assert made.status_code == 201
    done = await api.post(f"{PATH}/{made.json()['id']}/withdraw", {}, owner)
    assert done.json()["state"] == "withdrawn"


async def at_gateway(api: Api, caller: Any, body: Any = None) -> dict[str, Any]:
    """As the plugins hand it on: the answer, or the error."""
    operation = "approvals" if body is None else "approvals.request"
    request = {"caller": caller, "call": {"operation": operation, "asked_model": ""}}
    if body is not None:
        request["body"] = base64.b64encode(json.dumps(body).encode()).decode()
    made = (await api.post("/v1/decisions", request)).json()
    told: dict[str, Any] = made["answer"] or made["denial"]["body"]["error"]
    return told


async def test_a_key_asks_in_its_users_name_and_sees_what_came_of_it(api: Api) -> None:
    caller = await api.caller()
    made = await at_gateway(api, caller, {"model": "mini", "reason": "by key"})
    assert (made["requester"], made["for"], made["is_new"]) == ("user:sam", "user:sam", True)
    done = await api.post(f"{PATH}/{made['id']}/refuse", {"reason": "not now"}, ADMIN)
    assert done.status_code == 200
    listed = (await at_gateway(api, caller))["data"]
    [mine] = [one for one in listed if one["id"] == made["id"]]
    assert (mine["state"], mine["decision_reason"]) == ("refused", "not now")


async def test_a_key_takes_its_own_request_back_and_nobody_elses(api: Api) -> None:
    caller = await api.caller()
    made = await at_gateway(api, caller, {"model": "mini", "reason": "too little"})
    stranger = {**caller, "user": "kim", "key_id": None}
    assert (await at_gateway(api, stranger, {"withdraw": made["id"]}))["code"] == "not_found"
    done = await at_gateway(api, caller, {"withdraw": made["id"]})
    assert (done["id"], done["state"]) == (made["id"], "withdrawn")
    again = await at_gateway(api, caller, {"withdraw": made["id"]})
    assert again["code"] == "conflict"
    assert (await at_gateway(api, caller, {"withdraw": "apr_none"}))["code"] == "not_found"


async def test_an_amount_may_be_a_number_or_a_text(api: Api) -> None:
    caller = await api.caller()
    for amount in (0.1, "0.1"):
        wanted = {"model": "mini", "reason": "a try", "amount_usd": amount}
        made = await at_gateway(api, caller, wanted)
        assert made["asked_usd"] == "0.1"
        await at_gateway(api, caller, {"withdraw": made["id"]})


async def test_what_is_shown_is_the_record() -> None:
    assert set(ShownApproval.__struct_fields__) - {"object"} == {
        field.name for field in fields(ApprovalRecord)
    }


async def test_who_cannot_be_told_apart_cannot_ask(api: Api) -> None:
    shop = {"consumer": {"username": "shop"}}
    caller = (await api.post("/v1/callers/identify", shop)).json()["caller"]
    refused = await at_gateway(api, caller, {"model": "mini", "reason": "who knows"})
    assert refused["code"] == "permission_denied"


async def test_what_is_not_there_is_404(api: Api) -> None:
    assert code_of(await api.post(f"{PATH}/apr_none/grant", {}, ADMIN)) == (404, "not_found")
    assert code_of(await api.get(f"{PATH}/apr_none")) == (404, "not_found")
