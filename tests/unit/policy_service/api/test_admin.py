from typing import Any

import pytest

from tests.fakes.running_service import ADMIN, INTERNAL, Api

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATHS = ["/admin/v1/usage/spend", "/admin/v1/usage/recent", "/admin/v1/budgets"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", [{}, INTERNAL, {"authorization": "Bearer admin"}])
async def test_the_admin_api_is_closed_without_its_token(
    api: Api, path: str, headers: dict[str, str]
) -> None:
    answer = await api.client.get(path, headers=headers, params={"month": "2026-11"})
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"
    assert "admin-0" not in answer.text


@pytest.mark.parametrize("path", ["/admin/v1/usage/spend", "/admin/v1/budgets"])
@pytest.mark.parametrize(
    "month", ["", "2026", "2026-13", "2026-00", "2026-1", "26-11", "2026-11-01", "2026-11\n", "x"]
)
async def test_a_month_is_written_in_one_way(api: Api, path: str, month: str) -> None:
    answer = await api.get(path, month=month)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("malformed_request", "month")


@pytest.mark.parametrize("limit", [0, -1, 1001, "many"])
async def test_the_newest_calls_are_given_in_sensible_numbers(api: Api, limit: Any) -> None:
    assert (await api.get("/admin/v1/usage/recent", limit=limit)).status_code == 400


async def test_an_empty_month_is_empty_and_a_team_has_its_budget(api: Api) -> None:
    spend = await api.get("/admin/v1/usage/spend", month="2026-11")
    assert spend.json() == {"month": "2026-11", "rows": []}
    assert (await api.get("/admin/v1/usage/recent")).json() == {"rows": [], "next": None}
    [row] = (await api.get("/admin/v1/budgets", month="2026-11")).json()["rows"]
    assert (row["team"], float(row["budget_usd"]), float(row["used_usd"])) == ("search", 100, 0)
    # Money is text: a float would round it.
    assert isinstance(row["budget_usd"], str)


async def test_the_token_is_taken_whatever_the_case_of_its_scheme(api: Api) -> None:
    token = ADMIN["authorization"].split()[1]
    answer = await api.client.get(
        "/admin/v1/usage/recent", headers={"authorization": f"bearer {token}"}
    )
    assert answer.status_code == 200
