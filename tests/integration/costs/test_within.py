"""Who asks sees what lies at or below their nodes, whatever they write into the address."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from llm_core.policy.limits import Limit, Measure
from llm_core.policy.roles import Grant, Role
from policy_service.adapters.sql.decision_log import SqlDecisionLog
from policy_service.adapters.sql.engine import open_engine
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.adapters.sql.organisation import Organisation
from policy_service.services.administrators import ROOT
from tests.fakes.running_service import Api
from tests.integration.sql.test_decision_log import logged
from tests.integration.sql.usage_rows import usage_row

Get = Callable[..., Coroutine[Any, Any, httpx.Response]]
DAY = datetime(2026, 11, 18, 12, tzinfo=UTC)
QUERY = {"from": "2026-11-01", "to": "2026-12-01"}
PLACES = (("engineering", "search", 1), ("engineering", "ads", 10), ("sales", "emea", 100))
READS = (
    "/admin/v1/costs",
    "/admin/v1/costs/values",
    "/admin/v1/usage/hours",
    "/admin/v1/usage/adoption",
    "/admin/v1/reliability",
    "/admin/v1/refusals",
)


@pytest.fixture
async def filled(api: Api, database_url: str) -> Api:
    """Two departments with calls of three days each, and refusals."""
    engine = open_engine(database_url)
    administration = api.opened.administration
    await administration.put("department:sales", {"organisation": "acme"}, ROOT)
    await administration.put("team:emea", {"department": "sales"}, ROOT)
    await administration.put_limit(
        Limit("department:engineering", Measure.USD_PER_MONTH, Decimal(5000)), ROOT
    )
    await SqlLedger(engine).record(
        [
            usage_row(
                f"dec_{team}_{day}",
                at=DAY - timedelta(days=day),
                department=department,
                team=team,
                user=f"{team}-{day % 2}",
                usd=Decimal(usd),
            )
            for department, team, usd in PLACES
            for day in range(3)
        ]
    )
    decisions = SqlDecisionLog(engine)
    await decisions.record([refused(number) for number in range(6)])
    await engine.dispose()
    return api


def refused(number: int) -> Any:
    rule = {"code": "model_not_allowed", "rule": "llm.models"}
    by_policy = number % 3 == 0
    return replace(
        logged(number),
        department="sales" if number % 2 else "engineering",
        team="emea" if number % 2 else "search",
        result={"reasons": [rule] if by_policy else []},
        refused_for="model_not_allowed" if by_policy else "rate_limit_exceeded",
    )


async def as_manager(api: Api, node: str, role: Role = Role.DEPT_MANAGER) -> Get:
    """Asks as somebody who has a role there."""
    issued = await api.opened.admin_tokens.issue(ROOT, f"of-{node}", [Grant(role, node)], None)
    headers = {"authorization": f"Bearer {issued.text}"}

    async def get(path: str, **params: Any) -> httpx.Response:
        return await api.client.get(path, headers=headers, params={**QUERY, **params})

    return get


async def test_a_manager_sees_the_department_and_no_other(filled: Api) -> None:
    get = await as_manager(filled, "department:engineering")
    costs = (await get("/admin/v1/costs", group_by="department,team")).json()
    assert [(one["keys"]["team"], Decimal(one["usd"])) for one in costs["rows"]] == [
        ("ads", 30),
        ("search", 3),
    ]
    assert Decimal(costs["total"]["usd"]) == 33
    values = (await get("/admin/v1/costs/values", dimension="team")).json()
    assert [(one["value"], Decimal(one["usd"])) for one in values["rows"]] == [
        ("ads", 30),
        ("search", 3),
    ]
    hours = (await get("/admin/v1/usage/hours")).json()["rows"]
    assert sum(Decimal(one["usd"]) for one in hours) == 33
    adoption = (await get("/admin/v1/usage/adoption")).json()
    assert adoption["total"] == {"users": 4, "applications": 1, "teams": 2}
    assert [one["requests"] for one in adoption["rows"]] == [2, 2, 2]
    reliability = (await get("/admin/v1/reliability", group_by="team")).json()
    assert {one["keys"]["team"]: one["requests"] for one in reliability["rows"]} == {
        "ads": 3,
        "search": 3,
    }
    assert reliability["total"]["total_ms"]["count"] == 6
    assert reliability["total"]["total_ms"]["p50"] == pytest.approx(1234.6, rel=0.05)
    refusals = (await get("/admin/v1/refusals", group_by="team,code,rule")).json()
    assert [tuple(one["keys"].values()) for one in refusals["rows"]] == [
        ("search", "rate_limit_exceeded", None),
        ("search", "model_not_allowed", "llm.models"),
    ]
    assert refusals["rows"][0]["message"].startswith("A limit of requests")
    assert refusals["rows"][1]["message"] == "Model not in the caller's list"
    assert (refusals["rows"][0]["count"], refusals["total"]) == (2, 3)


async def test_who_looks_is_told_where_their_organisations_days_begin(
    filled: Api, database_url: str
) -> None:
    engine = open_engine(database_url)
    await Organisation(engine).put_organisation("acme", time_zone="Pacific/Auckland")
    await engine.dispose()
    get = await as_manager(filled, "department:sales")
    assert (await get("/admin/v1/whoami")).json()["time_zone"] == "Pacific/Auckland"


@pytest.mark.parametrize(
    "tampered",
    [
        {"department": "sales"},
        {"team": "emea"},
        {"team": ["emea", "' OR 1=1 --"]},
        {"organisation": "other"},
    ],
)
async def test_a_filter_beyond_ones_own_gives_nothing(
    filled: Api, tampered: dict[str, Any]
) -> None:
    get = await as_manager(filled, "department:engineering")
    for path in READS:
        answer = await get(path, **tampered)
        assert answer.status_code == 200, answer.text
        assert answer.json()["rows"] == []
        assert "emea" not in answer.text
    summary = await get("/admin/v1/costs/summary", **{**QUERY, **tampered})
    assert summary.status_code == 400  # a summary is of this month: it takes no time


async def test_a_summary_and_its_budget_are_of_what_may_be_seen(filled: Api) -> None:
    filled.clock.now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    answers = {}
    for node in ("department:engineering", "team:search"):
        issued = await filled.opened.admin_tokens.issue(
            ROOT, f"s-{node}", [Grant(Role.TEAM_OWNER, node)], None
        )
        headers = {"authorization": f"Bearer {issued.text}"}
        for params in ({}, {"department": "engineering"}, {"department": "sales"}):
            answer = await filled.client.get(
                "/admin/v1/costs/summary", headers=headers, params=params
            )
            found = answer.json()
            budget = found["budget_usd"]
            answers[node, params.get("department")] = (
                Decimal(found["month_to_date"]["usd"]),
                None if budget is None else Decimal(budget),
                {one["team"] for one in found["movers"]},
            )
    assert answers == {
        ("department:engineering", None): (33, 5000, {"ads", "search"}),
        ("department:engineering", "engineering"): (33, 5000, {"ads", "search"}),
        ("department:engineering", "sales"): (0, None, set()),
        ("team:search", None): (3, 100, {"search"}),
        # The department's budget is not the team's to see.
        ("team:search", "engineering"): (3, None, {"search"}),
        ("team:search", "sales"): (0, None, set()),
    }
