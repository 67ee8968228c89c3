import itertools
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.fakes.running_service import ADMIN, Api

pytestmark = pytest.mark.asyncio(loop_scope="module")

Headers = dict[str, str]
_NUMBERS = itertools.count()


async def as_actor(api: Api, *grants: tuple[str, str]) -> Headers:
    """Headers of somebody who holds these roles."""
    name = f"test-{next(_NUMBERS)}"
    body = {"name": name, "grants": [{"role": role, "node": node} for role, node in grants]}
    made = await api.client.post("/admin/v1/admin-tokens", headers=ADMIN, json=body)
    assert made.status_code == 201, made.text
    return {"authorization": f"Bearer {made.json()['token']}"}


async def ask(
    api: Api, method: str, path: str, headers: Headers = ADMIN, **options: Any
) -> httpx.Response:
    return await api.client.request(method, f"/admin/v1{path}", headers=headers, **options)


async def test_a_company_that_was_exported_can_be_put_back(api: Api) -> None:
    document = (await ask(api, "GET", "/organisation/company")).json()
    assert document["id"] == "acme"
    same = await ask(api, "PUT", "/organisation/company", json=document, params={"prune": 1})
    assert same.json() == {"changes": [], "left_alone": [], "keys": {}}
    document["cost_centres"] = [{"id": "cc-9"}]
    for dry_run in (1, 0):
        answer = await ask(
            api, "PUT", "/organisation/company", json=document, params={"dry_run": dry_run}
        )
        assert [one["subject"] for one in answer.json()["changes"]] == ["cost_centre:cc-9"]
    del document["cost_centres"]
    left = await ask(api, "PUT", "/organisation/company", json=document)
    assert [one["subject"] for one in left.json()["left_alone"]] == ["cost_centre:cc-9"]
    gone = await ask(api, "PUT", "/organisation/company", json=document, params={"prune": 1})
    assert [one["kind"] for one in gone.json()["changes"]] == ["remove"]
    [newest] = (await ask(api, "GET", "/audit", params={"limit": 1})).json()["rows"]
    assert (newest["action"], newest["subject"]) == ("cost_centre.remove", "cost_centre:cc-9")
    assert (newest["actor"], newest["proof"]) == ("root_token", "root_token")


@pytest.mark.parametrize(
    "document",
    [{}, {"id": 5}, {"id": "acme", "colour": "red"}, {"id": "acme", "limits": {"usd": 1}}],
)
async def test_a_company_at_fault_is_refused_in_words(api: Api, document: Any) -> None:
    answer = await ask(api, "PUT", "/organisation/company", json=document)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "malformed_request"


async def test_parts_are_put_shown_and_removed(api: Api) -> None:
    path = "/organisation/parts/department:labs"
    assert (await ask(api, "GET", path)).status_code == 404
    made = await ask(api, "PUT", path, json={"organisation": "acme", "name": "Labs"})
    assert made.json()["change"]["kind"] == "add"
    assert (await ask(api, "PUT", path, json={"organisation": "acme", "name": "Labs"})).json() == {
        "change": None
    }
    shown = (await ask(api, "GET", path)).json()
    assert shown["path"] == ["department:labs", "organisation:acme"]
    subjects = [row["subject"] for row in (await ask(api, "GET", "/organisation")).json()["rows"]]
    assert "department:labs" in subjects
    assert len((await ask(api, "DELETE", path)).json()["changes"]) == 1
    assert (await ask(api, "DELETE", path)).status_code == 400
    wrong = await ask(api, "PUT", path, json={"organisation": "nowhere"})
    assert wrong.status_code == 400
    assert "does not exist" in wrong.json()["error"]["message"]


async def test_limits_are_set_raised_and_lifted(api: Api) -> None:
    key = {"node": "team:search", "measure": "tokens_per_day"}
    assert (await ask(api, "PUT", "/limits", json={**key, "amount": "1000"})).status_code == 200
    more = {**key, "amount": "500", "until": "2027-01-01T00:00:00Z", "reason": "A launch"}
    made = await ask(api, "POST", "/limits/raises", json=more)
    assert made.status_code == 201, made.text
    rows = (await ask(api, "GET", "/limits", params={"node": "team:search"})).json()["rows"]
    [limit] = [row for row in rows if row["measure"] == "tokens_per_day"]
    assert (Decimal(limit["amount"]), Decimal(limit["raises"][0]["amount"])) == (1000, 500)
    [listed] = (await ask(api, "GET", "/limits/raises")).json()["rows"]
    assert (listed["id"], listed["author"]) == (made.json()["id"], "root_token")
    for status in (204, 404):
        gone = await ask(api, "DELETE", f"/limits/raises/{listed['id']}")
        assert gone.status_code == status
    naive = await ask(api, "POST", "/limits/raises", json={**more, "until": "2027-01-01T00:00:00"})
    assert naive.status_code == 400
    for status in (204, 404):
        assert (await ask(api, "DELETE", "/limits", params=key)).status_code == status


async def test_a_team_owner_sees_and_raises_the_own_team_alone(api: Api) -> None:
    owner = await as_actor(api, ("team_owner", "team:search"))
    rows = (await ask(api, "GET", "/organisation", owner)).json()["rows"]
    assert all("department:" not in row["subject"] for row in rows)
    assert "team:search" in [row["subject"] for row in rows]
    limits = (await ask(api, "GET", "/limits", owner)).json()["rows"]
    assert {row["node"] for row in limits} <= {"team:search"}
    refused = [
        await ask(api, "GET", "/organisation/company", owner),
        await ask(api, "PUT", "/organisation/company", owner, json={"id": "acme"}),
        await ask(api, "PUT", "/organisation/company", owner, json={"id": "my-own"}),
        await ask(api, "GET", "/organisation/parts/organisation:acme", owner),
        await ask(api, "PUT", "/organisation/parts/organisation:acme", owner, json={}),
        await ask(api, "DELETE", "/organisation/parts/team:search", owner),
        await ask(api, "GET", "/audit", owner),
        await ask(
            api,
            "PUT",
            "/limits",
            owner,
            json={"node": "team:search", "measure": "usd_per_month", "amount": "1"},
        ),
        await ask(
            api,
            "PUT",
            "/roles",
            owner,
            json={"role": "team_owner", "node": "team:search", "subject": "group:mine"},
        ),
    ]
    assert [answer.status_code for answer in refused] == [403] * len(refused)
    more = {"measure": "usd_per_month", "amount": "1", "until": "2027-01-01T00:00:00Z"}
    for node, status in (("team:search", 201), ("organisation:acme", 403), ("user:ghost", 403)):
        answer = await ask(
            api, "POST", "/limits/raises", owner, json={**more, "node": node, "reason": "why"}
        )
        assert answer.status_code == status, answer.text


async def test_nobody_becomes_somebody_who_may_more(api: Api) -> None:
    user = "/organisation/parts/user:ada"
    department = (await ask(api, "GET", "/organisation/parts/team:search")).json()["path"][1]
    manager = await as_actor(api, ("dept_manager", department))
    body = {"organisation": "acme", "team": "search", "email": "ada@acme.example"}
    assert (await ask(api, "PUT", user, manager, json=body)).status_code == 200
    role = {"role": "org_admin", "node": "organisation:acme", "subject": "user:ada"}
    assert (await ask(api, "PUT", "/roles", json=role)).json() == {"is_new": True}
    # Whoever could write their own address into her entry would be an administrator.
    taken = await ask(api, "PUT", user, manager, json={**body, "email": "me@acme.example"})
    assert taken.status_code == 403
    assert (await ask(api, "DELETE", user, manager)).status_code == 403
    named = await ask(api, "PUT", user, manager, json={**body, "name": "Ada"})
    assert named.status_code == 200
    for status in (204, 404):
        assert (await ask(api, "DELETE", "/roles", params=role)).status_code == status
    assert (await ask(api, "DELETE", user, manager)).status_code == 200


async def test_roles_on_the_platform_are_the_platforms_to_give(api: Api) -> None:
    admin = await as_actor(api, ("org_admin", "organisation:acme"))
    document = (await ask(api, "GET", "/organisation/company", admin)).json()
    same = await ask(api, "PUT", "/organisation/company", admin, json=document)
    assert same.status_code == 200
    document["platform_roles"] = [{"role": "platform_admin", "group": "mine"}]
    answer = await ask(api, "PUT", "/organisation/company", admin, json=document)
    assert answer.status_code == 403
    role = {"role": "platform_admin", "node": "platform:*", "subject": "group:mine"}
    assert (await ask(api, "PUT", "/roles", admin, json=role)).status_code == 403


async def test_the_audit_log_is_read_by_pages_and_by_organisation(api: Api) -> None:
    rows = (await ask(api, "GET", "/audit", params={"limit": 3})).json()["rows"]
    assert [row["seq"] for row in rows] == sorted((row["seq"] for row in rows), reverse=True)
    following = await ask(api, "GET", "/audit", params={"before_seq": rows[-1]["seq"], "limit": 1})
    assert following.json()["rows"][0]["seq"] < rows[-1]["seq"]
    auditor = await as_actor(api, ("auditor", "organisation:acme"))
    seen = (await ask(api, "GET", "/audit", auditor)).json()["rows"]
    assert {row["organisation"] for row in seen} == {"acme"}
    other = await as_actor(api, ("auditor", "team:search"))
    assert (await ask(api, "GET", "/audit", other)).status_code == 403
    naive = await ask(api, "GET", "/audit", params={"since": "2026-01-01T00:00:00"})
    assert naive.status_code == 400
