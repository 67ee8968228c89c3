"""`GET /admin/v1/reliability/breakers`: what the breakers did, page by page."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from llm_core.routing.facts import Observation
from tests.fakes.running_service import Api, running_service

PATH = "/admin/v1/reliability/breakers"
FAILED = Observation("openai-mini", is_failure=True, error="unreachable")
GOOD = Observation("openai-mini", is_failure=False)


async def listed(api: Api, **query: Any) -> dict[str, Any]:
    answer = await api.get(PATH, **query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_breaker_that_opens_and_closes_leaves_its_steps(tmp_path: Path) -> None:
    async with running_service(tmp_path) as api:
        assert await listed(api) == {"data": [], "next_cursor": None}
        for _ in range(5):
            api.opened.health.observe(FAILED)
        api.clock.advance(60)
        api.opened.health.observe(GOOD)
        async with asyncio.timeout(20):
            while len((await listed(api))["data"]) < 3:  # noqa: ASYNC110 - it is written meanwhile
                await asyncio.sleep(0.02)
        first = await listed(api, limit=2)
        rest = await listed(api, limit=2, cursor=first["next_cursor"])
        assert rest["next_cursor"] is None
        rows = [*first["data"], *rest["data"]]
        assert [(one["from"], one["to"]) for one in rows] == [
            ("half_open", "closed"),
            ("open", "half_open"),
            ("closed", "open"),
        ]
        opened = rows[-1]
        assert opened["id"].startswith("brk_")
        assert opened | {"id": ""} == {
            "id": "",
            "at": "2026-11-20T12:00:00Z",
            "deployment_id": "openai-mini",
            "provider": "openai",
            "model": "gpt-4o-mini",
            "from": "closed",
            "to": "open",
            "reason": "failures_in_a_row",
            "error_class": "unreachable",
            "opens_until": "2026-11-20T12:00:05Z",
        }
        assert len((await listed(api, provider="openai", deployment="openai-mini"))["data"]) == 3
        assert not (await listed(api, provider="azure"))["data"]
        assert not (await listed(api, deployment=["a", "b"]))["data"]
        at = {"since": "2026-11-20T13:00:05+01:00", "until": "2026-11-20T12:00:06Z"}
        assert [one["to"] for one in (await listed(api, **at))["data"]] == ["half_open"]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"since": "2026-11-20T12:00:00"}, "timezone"),
        ({"since": "0001-01-01T00:00:00+14:00"}, "year"),
        ({"provider": "a\0"}, "provider"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"limit": "0"}, "limit"),
        ({"providers": "openai"}, "providers"),
    ],
)
async def test_what_cannot_be_read_is_refused_with_what_is_wrong(
    api: Api, query: dict[str, str], told: str
) -> None:
    answer = await api.get(PATH, **query)
    assert answer.status_code == 400
    assert told in answer.json()["detail"]
