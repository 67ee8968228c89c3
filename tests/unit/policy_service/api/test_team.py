"""What a team's members see with nothing but an API key: their team's usage and changes."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio

from llm_core.policy.roles import Grant, Role
from policy_service.ports.ledger import UsageRow
from policy_service.services.administrators import ROOT
from tests.fakes.clock import NOON
from tests.fakes.running_service import ADMIN, Api
from tests.integration.sql.usage_rows import usage_row

pytestmark = pytest.mark.asyncio(loop_scope="module")

USAGE = "/admin/usage"
AUDIT = "/admin/audit-log"


def spent(number: int, team: str, usd: str, **changes: Any) -> UsageRow:
    place = {"organisation": "acme", "department": "engineering", "team": team, "project": None}
    return replace(
        usage_row(), decision_id=f"dec_{team}_{number}", usd=Decimal(usd), **{**place, **changes}
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def key(api: Api) -> dict[str, str]:
    """A key of team search, which has spent, as has team s_arch."""
    parts = "/admin/v1/organisation/parts"
    for team in ("sXarch", "s_arch"):
        await api.client.put(
            f"{parts}/team:{team}", json={"department": "engineering"}, headers=ADMIN
        )
        limit = {"node": f"team:{team}", "measure": "usd_per_day", "amount": "7"}
        await api.client.put("/admin/v1/limits", json=limit, headers=ADMIN)
    await api.opened.ledger.record(
        [
            spent(1, "search", "0.25", at=NOON, asked_model="mini"),
            spent(2, "search", "0.5", at=NOON - timedelta(days=1), asked_model="mini"),
            spent(3, "search", "1", at=NOON, asked_model="large"),
            spent(4, "s_arch", "100", at=NOON, asked_model="mini"),
        ]
    )
    return {"authorization": f"Bearer {api.key}"}


async def ask(api: Api, path: str, headers: dict[str, str], **params: Any) -> Any:
    return await api.client.get(path, headers=headers, params=params)


async def test_a_key_sees_its_teams_usage_by_day_and_model(api: Api, key: dict[str, str]) -> None:
    told = (await ask(api, USAGE, key)).json()
    rows = [(one["day"], one["team"], one["model"], one["usd"]) for one in told["rows"]]
    assert rows == [
        ("2026-11-19", "search", "mini", "0.500000000000"),
        ("2026-11-20", "search", "large", "1.000000000000"),
        ("2026-11-20", "search", "mini", "0.250000000000"),
    ]
    assert (told["team"], told["tz"], told["to"]) == ("search", "UTC", "2026-11-21")
    assert Decimal(told["total"]["usd"]) == Decimal("1.75")
    assert told["total"]["requests"] == 3


async def test_days_begin_by_the_clocks_asked_for(api: Api, key: dict[str, str]) -> None:
    for zone in ("Pacific/Auckland", "Asia/Kolkata"):
        told = (await ask(api, USAGE, key, tz=zone, **{"from": "2026-11-20"})).json()
        # Noon in UTC is past midnight in Auckland, and the afternoon in Kolkata.
        days = {one["day"] for one in told["rows"]}
        assert days == ({"2026-11-20", "2026-11-21"} if "Auck" in zone else {"2026-11-20"})


async def test_usage_has_pages_and_one_total(api: Api, key: dict[str, str]) -> None:
    first = (await ask(api, USAGE, key, limit=2)).json()
    rest = (await ask(api, USAGE, key, limit=2, cursor=first["next"])).json()
    assert [len(first["rows"]), len(rest["rows"]), rest["next"]] == [2, 1, None]
    assert first["total"] == rest["total"]


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"tz": "Nowhere/Here"}, "tz"),
        ({"from": "2026-11-20", "to": "2026-11-20"}, "from"),
        ({"from": "2025-01-01", "to": "2026-01-01"}, "from"),
        ({"from": "0001-01-01", "to": "0001-01-02"}, "from"),
        ({"from": "9999-12-31"}, "from"),
        ({"to": "0001-01-02"}, "from"),
    ],
)
async def test_days_that_cannot_be_are_refused(
    api: Api, key: dict[str, str], params: dict[str, str], param: str
) -> None:
    answer = await ask(api, USAGE, key, **params)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_an_administrator_sees_what_the_roles_reach(api: Api, key: dict[str, str]) -> None:
    assert {one["team"] for one in (await ask(api, USAGE, ADMIN)).json()["rows"]} == {
        "search",
        "s_arch",
    }
    made = await api.opened.admin_tokens.issue(
        ROOT, "owner", (Grant(Role.TEAM_OWNER, "team:s_arch"),), None
    )
    told = await ask(api, USAGE, {"authorization": f"Bearer {made.text}"})
    assert {one["team"] for one in told.json()["rows"]} == {"s_arch"}


async def test_a_key_sees_what_was_changed_about_its_team(api: Api, key: dict[str, str]) -> None:
    made = await api.post("/admin/v1/keys", {"name": "logged", "team": "search"}, ADMIN)
    other = await api.post("/admin/v1/keys", {"name": "hidden", "team": "s_arch"}, ADMIN)
    for key_id in (made.json()["id"], other.json()["id"]):
        limit = {"node": f"key:{key_id}", "measure": "usd_per_day", "amount": "1"}
        await api.client.put("/admin/v1/limits", json=limit, headers=ADMIN)
    told = await ask(api, AUDIT, key)
    subjects = [one["subject"] for one in told.json()["rows"]]
    assert f"key:{made.json()['id']}" in subjects
    assert f"limit:key:{made.json()['id']}:usd_per_day" in subjects
    assert "limit:team:search:usd_per_month" in subjects
    assert all("arch" not in one or "search" in one for one in subjects)
    assert other.json()["id"] not in told.text
    assert made.json()["key"] not in told.text


async def test_signs_of_an_id_are_no_wildcards(api: Api, key: dict[str, str]) -> None:
    made = await api.post("/admin/v1/keys", {"name": "wild", "team": "s_arch"}, ADMIN)
    theirs = {"authorization": f"Bearer {made.json()['key']}"}
    subjects = [one["subject"] for one in (await ask(api, AUDIT, theirs)).json()["rows"]]
    assert "limit:team:s_arch:usd_per_day" in subjects
    assert not [one for one in subjects if "sXarch" in one or "search" in one]


async def test_the_log_has_pages(api: Api, key: dict[str, str]) -> None:
    whole = [one["seq"] for one in (await ask(api, AUDIT, key)).json()["rows"]]
    found: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        told = (await ask(api, AUDIT, key, limit=1, **cursor)).json()
        found += [one["seq"] for one in told["rows"]]
        if told["next"] is None:
            break
        cursor = {"cursor": told["next"]}
    assert found == whole
    assert len(whole) > 2


async def test_a_key_that_is_over_or_wrong_sees_nothing(api: Api, key: dict[str, str]) -> None:
    made = await api.post("/admin/v1/keys", {"name": "over", "team": "search"}, ADMIN)
    text = made.json()["key"]
    await api.client.delete(f"/admin/v1/keys/{made.json()['id']}", headers=ADMIN)
    for bearer, word in ((text, "revoked"), (f"{text}x", "mistyped"), ("", "admin API needs")):
        answer = await ask(api, USAGE, {"authorization": f"Bearer {bearer}"})
        assert answer.status_code == 401
        assert word in answer.json()["detail"]
        assert text not in answer.text


@pytest.mark.parametrize(("network", "status"), [("127.0.0.0/8", 200), ("10.0.0.0/8", 403)])
async def test_a_key_of_a_network_is_good_there_only(
    api: Api, key: dict[str, str], network: str, status: int
) -> None:
    body = {"name": f"net-{status}", "team": "search", "networks": [network]}
    made = await api.post("/admin/v1/keys", body, ADMIN)
    headers = {"authorization": f"Bearer {made.json()['key']}"}
    assert (await ask(api, USAGE, headers)).status_code == status


async def test_a_key_opens_nothing_else(api: Api, key: dict[str, str]) -> None:
    for path in ("/admin/v1/whoami", "/admin/v1/keys", "/admin/v1/audit", "/admin/v1/limits"):
        assert (await ask(api, path, key)).status_code == 401
