"""Two whole services over one Redis: what one is told, the other decides by."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.running_service import Api, running_service
from tests.fixtures.services import free_port

pytestmark = pytest.mark.integration


async def decided(api: Api) -> dict[str, Any]:
    call = {
        "operation": "chat.completions",
        "asked_model": "mini",
        "prompt_tokens": 10,
        "body_digest": "0" * 64,
    }
    answer = await api.post("/v1/decisions", {"caller": await api.caller(), "call": call})
    made: dict[str, Any] = answer.json()
    assert made["denial"] is None
    return made


async def breaker(api: Api) -> str:
    [one] = (await api.get("/v1/providers/health")).json()["deployments"]
    return str(one["breaker"])


async def until(api: Api, state: str) -> None:
    async with asyncio.timeout(20):
        while await breaker(api) != state:  # noqa: ASYNC110 - it arrives in the background
            await asyncio.sleep(0.02)


async def test_a_provider_that_one_service_cannot_reach_is_left_alone_by_the_other(
    redis_url: str, tmp_path: Path
) -> None:
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
    async with (
        running_service(folders[0], redis_url=redis_url) as one,
        running_service(folders[1], redis_url=redis_url) as other,
    ):
        assert (await decided(other))["transport"] == "direct"
        for _ in range(5):
            made = await decided(one)
            report = {
                "deployment_id": "openai-mini",
                "transport": "direct",
                "http_status": 502,
                "error_class": "unreachable",
            }
            await one.post(f"/v1/decisions/{made['decision_id']}/usage", report)
        await until(one, "open")
        await until(other, "open")
        # By the relay, which will not call it, and which says so in OpenAI's shape.
        assert (await decided(other))["transport"] == "relay"


async def test_a_probed_deployment_is_found_out_without_a_call(tmp_path: Path) -> None:
    (tmp_path / "service").mkdir()
    models = tmp_path / "probed.yaml"
    models.write_text(
        f"""
models:
  - alias: mini
    deployments:
      - id: openai-mini
        provider: openai
        model: gpt-4o-mini
        base_url: http://127.0.0.1:{free_port()}/v1
        is_probed: true
"""
    )
    async with running_service(
        tmp_path / "service",
        models_file=models,
        probe_interval_s=0.02,
        breaker_failures_in_a_row=2,
    ) as api:
        await until(api, "open")
