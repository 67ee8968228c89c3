"""Questions on spend and usage that are asked well, and badly."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from policy_service.adapters.sql.ledger import SqlLedger
from tests.fakes.clock import NOON
from tests.fakes.running_service import ADMIN, Api
from tests.integration.sql.usage_rows import usage_row

pytestmark = pytest.mark.asyncio(loop_scope="module")

READS = [
    "/admin/v1/costs",
    "/admin/v1/costs/values",
    "/admin/v1/usage/hours",
    "/admin/v1/usage/adoption",
    "/admin/v1/reliability",
    "/admin/v1/refusals",
]


@pytest.mark.parametrize("path", [*READS, "/admin/v1/costs/summary"])
async def test_nothing_is_told_without_a_token_and_nothing_is_there_at_first(
    api: Api, path: str
) -> None:
    assert (await api.client.get(path)).status_code == 401
    answer = await api.get(path, team="nobody")
    assert answer.status_code == 200
    found = answer.json()
    assert found.get("rows", []) == []
    if path.endswith("summary"):
        assert (found["month"], found["forecast"], found["movers"]) == ("2026-11", None, [])
        assert (found["users"], Decimal(found["saved_by_routing_usd"])) == (0, 0)


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-11-01T00:00:00"}, "from"),
        ({"to": "9999-12-31"}, "to"),
        ({"from": "2026-13-01"}, "from"),
        ({"from": "2026-11-02", "to": "2026-11-02"}, "from"),
        ({"from": "2001-01-01"}, "from"),
        ({"tz": "Mars/Olympus"}, "tz"),
        ({"tz": ""}, "tz"),
        ({"tz": "../../etc/passwd"}, "tz"),
        ({"team": "a\0b"}, "team"),
    ],
)
async def test_a_time_a_zone_and_a_name_are_written_in_one_way(
    api: Api, path: str, params: dict[str, Any], param: str
) -> None:
    answer = await api.get(path, **params)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("malformed_request", param)


@pytest.mark.parametrize("path", [*READS, "/admin/v1/costs/summary"])
async def test_a_filter_that_is_misspelt_is_refused_rather_than_overlooked(
    api: Api, path: str
) -> None:
    answer = await api.get(path, departement="research")
    assert answer.status_code == 400
    assert "departement" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/admin/v1/costs", {"group_by": "colour"}),
        ("/admin/v1/costs", {"interval": "week"}),
        ("/admin/v1/costs", {"interval": "hour", "from": "2026-01-01"}),
        ("/admin/v1/costs", {"interval": "day", "from": "2020-01-01"}),
        ("/admin/v1/costs", {"limit": 0}),
        ("/admin/v1/costs", {"cursor": "x"}),
        ("/admin/v1/costs", {"cursor": "WzEsIngiXQ"}),
        ("/admin/v1/costs", {"team": ["t"] * 201}),
        ("/admin/v1/costs/values", {"dimension": "colour"}),
        ("/admin/v1/costs/values", {"limit": 10_001}),
        ("/admin/v1/usage/adoption", {"interval": "hour"}),
        ("/admin/v1/reliability", {"group_by": "code"}),
        ("/admin/v1/refusals", {"group_by": "provider"}),
        ("/admin/v1/refusals", {"provider": "openai"}),
    ],
)
async def test_what_cannot_be_answered_is_said_so(
    api: Api, path: str, params: dict[str, Any]
) -> None:
    answer = await api.get(path, **params)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


async def test_pages_follow_one_another_and_a_cursor_is_of_one_question(api: Api) -> None:
    await _fill(api, "paged", {f"model-{number}": number for number in range(1, 8)})
    query = {"team": "paged", "group_by": "model"}
    first = (await api.get("/admin/v1/costs", limit=3, **query)).json()
    second = (await api.get("/admin/v1/costs", limit=5, cursor=first["next"], **query)).json()
    assert [one["keys"]["model"] for one in (*first["rows"], *second["rows"])] == [
        f"model-{number}" for number in range(7, 0, -1)
    ]
    assert second["next"] is None
    assert first["total"] == second["total"]
    assert Decimal(first["total"]["usd"]) == 28
    other = await api.get("/admin/v1/costs", cursor=first["next"], team="paged")
    assert other.status_code == 400


async def test_values_are_told_with_the_dearest_first_and_how_many_are_left_out(api: Api) -> None:
    await _fill(api, "valued", {"cheap": 1, "dear": 3, "mean": 2})
    query = {"team": "valued", "dimension": "model", "limit": 2}
    found = (await api.get("/admin/v1/costs/values", **query)).json()
    assert [(one["value"], Decimal(one["usd"])) for one in found["rows"]] == [
        ("dear", 3),
        ("mean", 2),
    ]
    assert found["left_out"] == 1
    untagged = await api.get("/admin/v1/costs/values", team="valued", dimension="use_case")
    assert [one["value"] for one in untagged.json()["rows"]] == [None]


async def test_a_summary_tells_the_month_and_what_moved(api: Api) -> None:
    await _fill(api, "summed", {"m": 7}, back_days=1)
    await _fill(api, "summed", {"m": 2}, back_days=9)
    await _fill(api, "summed", {"m": 5}, back_days=32)
    found = (await api.get("/admin/v1/costs/summary", team="summed", tz="Europe/Berlin")).json()
    assert Decimal(found["month_to_date"]["usd"]) == 9
    assert (Decimal(found["last_month_to_date_usd"]), Decimal(found["last_month_usd"])) == (5, 5)
    [moved] = found["movers"]
    assert (moved["team"], Decimal(moved["change_usd"])) == ("summed", 5)
    assert found["burn_usd_per_day"] == "1.00"
    assert found["forecast"]["method"] == "weekday_median"
    assert (found["users"], found["teams"], found["tz"]) == (1, 1, "Europe/Berlin")
    searched = (await api.get("/admin/v1/costs/summary", team="search")).json()
    assert (Decimal(searched["budget_usd"]), searched["tz"]) == (100, "UTC")


async def test_without_a_zone_it_is_the_organisations(api: Api) -> None:
    answer = await api.client.get("/admin/v1/costs", headers=ADMIN)
    found = answer.json()
    assert (found["from"], found["to"], found["tz"]) == (
        "2026-11-01T00:00:00Z",
        "2026-11-21T00:00:00Z",
        "UTC",
    )


async def _fill(api: Api, team: str, spends: dict[str, int], back_days: int = 1) -> None:
    ledger = api.opened.ledger
    assert isinstance(ledger, SqlLedger)
    await ledger.record(
        [
            usage_row(
                f"dec_{team}_{model}_{back_days}",
                at=NOON - timedelta(days=back_days),
                team=team,
                asked_model=model,
                usd=Decimal(usd),
            )
            for model, usd in spends.items()
        ]
    )
