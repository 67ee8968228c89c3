"""The catalogue and its prices, as far as administrators may know them."""

import pytest

from llm_core.policy.roles import Grant, Role
from policy_service.services.administrators import ROOT
from tests.fakes.running_service import ADMIN, Api

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_catalogue_is_told_with_prices_and_without_addresses(api: Api) -> None:
    answer = await api.get("/admin/v1/models")
    [model] = answer.json()["rows"]
    [deployment] = model["deployments"]
    assert (model["alias"], deployment["id"]) == ("mini", "openai-mini")
    assert (deployment["provider"], deployment["region"]) == ("openai", "us")
    assert deployment["transport"] == "direct"
    assert float(deployment["price"]["rates"]["input"]) > 0
    assert "127.0.0.1" not in answer.text
    assert "credential" not in answer.text


async def test_prices_are_told_by_deployment(api: Api) -> None:
    told = (await api.get("/admin/v1/prices", model="mini")).json()
    [row] = told["rows"]
    assert (row["model"], row["priced_as"]) == ("mini", "openai/gpt-4o-mini")
    assert (told["currency"], told["per_tokens"]) == ("USD", 1_000_000)
    assert row["price"]["version"].startswith("genai-prices")
    assert (await api.get("/admin/v1/prices", model="nobody")).json()["rows"] == []


async def test_who_has_no_role_is_told_nothing(api: Api) -> None:
    for path in ("/admin/v1/models", "/admin/v1/prices"):
        assert (await api.client.get(path)).status_code == 401
    made = await api.opened.admin_tokens.issue(
        ROOT, "member", (Grant(Role.MEMBER, "team:search"),), None
    )
    headers = {"authorization": f"Bearer {made.text}"}
    assert (await api.client.get("/admin/v1/models", headers=headers)).status_code == 200
    assert (await api.client.get("/admin/v1/models", headers=ADMIN)).status_code == 200
