import pytest

from llm_core.routing.facts import Observation
from tests.fakes.running_service import INTERNAL, Api

pytestmark = pytest.mark.asyncio(loop_scope="module")
PATH = "/v1/providers/health"


@pytest.mark.parametrize("headers", [{}, INTERNAL, {"authorization": "Bearer admin"}])
async def test_how_providers_fare_is_told_to_admins_only(api: Api, headers: dict[str, str]) -> None:
    answer = await api.client.get(PATH, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"


async def test_a_breaker_that_opens_is_told_with_its_end_and_without_secrets(api: Api) -> None:
    told = {
        "deployment_id": "openai-mini",
        "models": ["mini"],
        "provider": "openai",
        "model": "gpt-4o-mini",
        "region": "us",
        "breaker": "closed",
        "opens_until": None,
        "time_to_first_token_ms": None,
        "tokens_per_s": None,
        "samples": 0,
        "is_probed": False,
    }
    assert (await api.get(PATH)).json() == {"deployments": [told]}
    for _ in range(5):
        api.opened.health.observe(Observation("openai-mini", is_failure=True))
    answer = await api.get(PATH)
    [opened] = answer.json()["deployments"]
    assert opened == told | {"breaker": "open", "opens_until": "2026-11-20T12:00:05Z"}
    assert "127.0.0.1" not in answer.text
