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


@pytest.mark.parametrize(
    ("path", "named"),
    [("/budgets", "month"), ("/audit?limit=0", "limit"), ("/audit?since=x", "since")],
)
async def test_a_question_that_makes_no_sense_is_answered_as_everywhere(
    api: Api, path: str, named: str
) -> None:
    answer = await ask(api, "GET", path)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "malformed_request"
    assert f"`{named}`: " in answer.json()["error"]["message"]


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


async def test_a_team_owner_sees_the_own_team_alone_and_raises_what_is_below_it(api: Api) -> None:
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
    project = {"team": "search", "name": "Ranking"}
    made = await ask(api, "PUT", "/organisation/parts/project:ranking", json=project)
    assert made.status_code == 200, made.text
    cap = {"node": "project:ranking", "measure": "usd_per_month", "amount": "5"}
    assert (await ask(api, "PUT", "/limits", json=cap)).status_code == 200
    more = {"measure": "usd_per_month", "amount": "1", "until": "2027-01-01T00:00:00Z"}
    for node, status in (
        ("project:ranking", 201),
        ("team:search", 403),
        ("organisation:acme", 403),
        ("user:ghost", 403),
    ):
        answer = await ask(
            api, "POST", "/limits/raises", owner, json={**more, "node": node, "reason": "why"}
        )
        assert answer.status_code == status, answer.text


async def test_who_has_a_limit_does_not_set_it(api: Api) -> None:
    department = (await ask(api, "GET", "/organisation/parts/team:search")).json()["path"][1]
    manager = await as_actor(api, ("dept_manager", department))
    admin = await as_actor(api, ("org_admin", "organisation:acme"))
    asked = {"measure": "usd_per_month", "amount": "1000"}
    for who, node, status in (
        (manager, "team:search", 200),
        (manager, department, 403),
        (admin, department, 200),
        (admin, "organisation:acme", 200),
    ):
        answer = await ask(api, "PUT", "/limits", who, json={**asked, "node": node})
        assert answer.status_code == status, answer.text
    lifted = await ask(
        api, "DELETE", "/limits", manager, params={"node": department, "measure": "usd_per_month"}
    )
    assert lifted.status_code == 403


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


async def test_nobody_becomes_a_platform_admin_by_a_company_file_that_changes_their_address(
    api: Api,
) -> None:
    admin = {"organisation": "acme", "email": "pia@acme.test"}
    for subject, record in (("user:pia", admin), ("user:hal", {"organisation": "acme"})):
        await ask(api, "PUT", f"/organisation/parts/{subject}", json=record)
    role = {"role": "platform_admin", "node": "platform:*", "subject": "user:pia"}
    assert (await ask(api, "PUT", "/roles", json=role)).status_code == 200
    org_admin = await as_actor(api, ("org_admin", "organisation:acme"))
    document = (await ask(api, "GET", "/organisation/company", org_admin)).json()
    whole = {"json": document, "params": {"prune": 1}}
    assert (await ask(api, "PUT", "/organisation/company", org_admin, **whole)).status_code == 200
    users = {user["id"]: user for user in document["users"]}
    for field in ("email", "subject"):
        taken = {**document, "users": [{**users["pia"], field: "mine@evil.test"}, users["hal"]]}
        answer = await ask(api, "PUT", "/organisation/company", org_admin, json=taken)
        assert answer.status_code == 403, field
    gone = {**document, "users": [users["hal"]]}
    answer = await ask(api, "PUT", "/organisation/company", org_admin, **(whole | {"json": gone}))
    assert answer.status_code == 403
    named = {**document, "users": [users["pia"], {**users["hal"], "email": "hal@acme.test"}]}
    answer = await ask(api, "PUT", "/organisation/company", org_admin, json=named)
    assert answer.status_code == 200, answer.text
    await ask(api, "DELETE", "/organisation/parts/user:pia")
    await ask(api, "DELETE", "/organisation/parts/user:hal")


async def test_a_company_file_takes_no_group_and_names_no_person_of_another_company(
    api: Api,
) -> None:
    for subject, record in (
        ("group:kong staff", {"team": "search"}),
        ("user:sue", {"organisation": "acme", "clearance": "secret"}),
        ("organisation:thief", {}),
    ):
        answer = await ask(api, "PUT", f"/organisation/parts/{subject}", json=record)
        assert answer.status_code == 200, answer.text
    thief = await as_actor(api, ("org_admin", "organisation:thief"))
    team: dict[str, Any] = {"id": "den"}
    document = {"id": "thief", "departments": [{"id": "gang", "teams": [team]}]}
    for more in (
        {"groups": [{"source": "kong", "name": "staff"}]},
        {"keys": [{"name": "k", "user": "sue"}]},
        {"consumers": [{"username": "c", "user": "sue"}]},
    ):
        stolen = {**document, "departments": [{"id": "gang", "teams": [{**team, **more}]}]}
        answer = await ask(api, "PUT", "/organisation/company", thief, json=stolen)
        assert answer.status_code == 400, more
    shown = await ask(api, "GET", "/organisation/parts/group:kong staff")
    assert shown.json()["record"]["team"] == "search"
    for subject in ("organisation:thief", "user:sue", "group:kong staff"):
        await ask(api, "DELETE", f"/organisation/parts/{subject}")


async def test_who_belongs_to_one_company_is_told_of_no_other(api: Api) -> None:
    await ask(api, "PUT", "/organisation/parts/organisation:secretive", json={})
    path = "/organisation/company"
    owner = await as_actor(api, ("team_owner", "team:search"))
    for query in ({}, {"organisation": "secretive"}, {"organisation": "not-there"}):
        answer = await ask(api, "GET", path, owner, params=query)
        assert answer.status_code in {400, 403}
        assert "secretive" not in answer.text.replace("`organisation:secretive`", "")
    told = [
        (await ask(api, "GET", path, owner, params={"organisation": one})).status_code
        for one in ("secretive", "not-there")
    ]
    assert told == [403, 403]
    org_admin = await as_actor(api, ("org_admin", "organisation:acme"))
    assert (await ask(api, "GET", path, org_admin)).json()["id"] == "acme"
    assert (await ask(api, "GET", path)).status_code == 400  # which of the two?
    await ask(api, "DELETE", "/organisation/parts/organisation:secretive")
