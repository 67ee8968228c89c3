"""Every list of the admin API has pages."""

from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from llm_core.policy.roles import Grant, Role
from policy_service.services.administrators import ROOT
from tests.fakes.running_service import ADMIN, Api

pytestmark = pytest.mark.asyncio(loop_scope="module")

LISTS = {
    "/admin/v1/keys": lambda one: one["id"],
    "/admin/v1/approvals": lambda one: one["id"],
    "/admin/v1/admin-tokens": lambda one: one["id"],
    "/admin/v1/limits": lambda one: (one["node"], one["scope"], one["measure"]),
    "/admin/v1/limits/raises": lambda one: one["id"],
    "/admin/v1/organisation": lambda one: one["subject"],
    "/admin/v1/audit": lambda one: one["seq"],
    "/admin/v1/audit/chain": lambda one: (one["chain"], one["seq"]),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filled(api: Api) -> None:
    """At least three rows in every list."""
    until = api.opened.clock() + timedelta(days=1)
    for number in range(3):
        grants = (Grant(Role.AUDITOR, "team:search"),)
        await api.opened.admin_tokens.issue(ROOT, f"paged-{number}", grants, None)
        await api.post("/admin/v1/keys", {"name": f"paged-{number}", "team": "search"}, ADMIN)
        limit = {"node": f"user:u{number}", "measure": "usd_per_day", "amount": "1"}
        await api.client.put("/admin/v1/limits", json=limit, headers=ADMIN)
        more = {
            "node": "team:search",
            "measure": "usd_per_month",
            "amount": "1",
            "until": until.isoformat(),
            "reason": "launch",
        }
        await api.post("/admin/v1/limits/raises", more, ADMIN)
        part = f"/admin/v1/organisation/parts/project:p{number}"
        await api.client.put(part, json={"team": "search"}, headers=ADMIN)
        wanted = {"model": "mini", "reason": "why", "for": f"project:p{number}"}
        asked = await api.post("/admin/v1/approvals", wanted, ADMIN)
        assert asked.status_code == 201, asked.text
    await api.opened.auditing.chain.append([])


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.usefixtures("filled")
async def test_every_list_is_read_page_by_page(api: Api, path: str) -> None:
    whole = (await api.get(path, limit=1000)).json()
    assert whole["next"] is None
    assert len(whole["rows"]) > 2, path
    found: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await api.get(path, limit=2, **cursor)).json()
        assert 1 <= len(page["rows"]) <= 2
        found += page["rows"]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    name = LISTS[path]
    assert [name(one) for one in found] == [name(one) for one in whole["rows"]]


@pytest.mark.parametrize("path", [*LISTS, "/admin/v1/audit/checkpoints", "/admin/v1/content"])
async def test_every_list_refuses_a_cursor_that_is_none(api: Api, path: str) -> None:
    headers = ADMIN
    if path.endswith("content"):
        made = await api.opened.admin_tokens.issue(
            ROOT, "words", (Grant(Role.AUDITOR, "platform:*"),), None
        )
        headers = {"authorization": f"Bearer {made.text}"}
    answer = await api.client.get(path, headers=headers, params={"cursor": "x"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "cursor")
    assert answer.headers["content-type"] == "application/problem+json"
