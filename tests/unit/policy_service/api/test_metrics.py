from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from llm_core.policy.caller import Caller
from llm_core.policy.decision import Decision, DecisionRequest, Transport, UsageReport
from llm_core.tokens.usage import TokenUsage
from policy_service.adapters.memory_limits import MemoryLimitsStore
from tests.fakes.running_service import Api, running_service
from tests.fakes.samples import chat_body, chat_call
from tests.fixtures.policies import EMBEDDED
from tests.fixtures.scraping import labels, samples, value

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKEN = "prometheus-0123456789"
MARK = "zebra-in-the-prompt"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def counted(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    folder = tmp_path_factory.mktemp("counted")
    async with running_service(folder, metrics_token=TOKEN, metrics_teams=5) as running:
        yield running


async def page(api: Api) -> str:
    answer = await api.client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return answer.text


async def decided(api: Api, model: str = "mini") -> Decision:
    caller = msgspec.convert(await api.caller(), Caller)
    body = chat_body(model=model, messages=[{"role": "user", "content": MARK}])
    asked = msgspec.to_builtins(DecisionRequest(caller, chat_call(body)))
    answer = await api.post("/v1/decisions", asked)
    assert answer.status_code == 200
    return msgspec.json.decode(answer.content, type=Decision)


async def test_without_a_token_of_its_own_nothing_is_counted_or_told(api: Api) -> None:
    answer = await api.client.get("/metrics")
    assert answer.status_code == 404
    assert "POLICY_METRICS_TOKEN" in answer.json()["error"]["message"]


async def test_it_opens_to_its_token_only(counted: Api) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Bearer "}):
        answer = await counted.client.get("/metrics", headers=headers)
        assert answer.status_code == 401
        assert "gatehouse_" not in answer.text


async def test_where_the_operator_wants_that_it_opens_to_everybody(tmp_path: Path) -> None:
    async with running_service(tmp_path, metrics_open=True) as running:
        answer = await running.client.get("/metrics")
    assert value(answer.text, "gatehouse_build_info") == 1


async def test_decisions_and_bookings_are_counted_as_they_happen(counted: Api) -> None:
    before = await page(counted)
    made = [await decided(counted) for _ in range(3)]
    await decided(counted, f"no-such-model-{MARK}")
    now = await page(counted)

    def more(name: str, **of: str) -> float:
        return value(now, name, **of) - value(before, name, **of)

    assert more("gatehouse_decisions_total", code="allowed", policy_engine=EMBEDDED) == 3
    assert more("gatehouse_decisions_total", code="model_not_found") == 1
    assert more("gatehouse_decision_duration_seconds_count") == 4
    assert more("gatehouse_reservations_open") == 3
    report = UsageReport(
        "openai-mini", Transport.DIRECT, 200, usage=TokenUsage(12, output_tokens=3), total_ms=50
    )
    for one in made:
        answer = await counted.post(
            f"/v1/decisions/{one.decision_id}/usage", msgspec.to_builtins(report)
        )
        assert answer.json() == {"outcome": "settled"}
    now = await page(counted)
    assert more("kong_ai_llm_requests_total", ai_provider="openai", consumer="search") == 3
    assert more("kong_ai_llm_tokens_total", token_type="prompt_tokens") == 36
    assert more("kong_ai_llm_cost_total") > 0
    assert more("gatehouse_usage_reports_total", source="plugin", outcome="settled") == 3
    assert more("gatehouse_reservations_open") == 0


async def test_it_tells_how_things_stand(counted: Api) -> None:
    text = await page(counted)
    for dependency in ("database", "limits", "policy"):
        assert value(text, "gatehouse_dependency_up", dependency=dependency) == 1
    told = {one.name: one for one in samples(text)}
    assert told["gatehouse_breaker_state"].labels == {
        "deployment": "openai-mini",
        "ai_provider": "openai",
        "ai_model": "gpt-4o-mini",
    }
    for name in (
        "gatehouse_degraded",
        "gatehouse_audit_events_waiting",
        "gatehouse_audit_chain_events",
        "gatehouse_ledger_queue_rows",
        "gatehouse_ledger_queue_age_seconds",
    ):
        assert name in told


async def test_what_does_not_answer_is_left_out_and_named(
    counted: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(_self: object) -> Any:
        raise TimeoutError

    monkeypatch.setattr(MemoryLimitsStore, "backlog", down)
    monkeypatch.setattr(MemoryLimitsStore, "ready", down)
    text = await page(counted)
    assert value(text, "gatehouse_dependency_up", dependency="limits") == 0
    assert value(text, "gatehouse_dependency_up", dependency="database") == 1
    assert "gatehouse_ledger_queue_rows" not in text


async def test_it_tells_no_word_of_a_call_and_nobodys_name(counted: Api) -> None:
    await decided(counted, f"another-{MARK}")
    text = await page(counted)
    assert MARK not in text
    values = {of for name, of in labels(text) if name != "le"}
    caller = await counted.caller()
    assert not values & {caller["user"], caller["key_id"], caller["organisation"], counted.key}
