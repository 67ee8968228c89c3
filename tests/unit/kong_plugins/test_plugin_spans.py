"""The spans of the three plugins' own phases, with the policy service on a real socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kong_plugins.llm_auth.plugin import Plugin as Auth
from kong_plugins.llm_provider_transform.plugin import Plugin as Transform
from kong_plugins.llm_token_meter.plugin import Plugin as Meter
from llm_core.policy.decision import Denial
from llm_core.trace_context import ids_of
from tests.fakes.kong import FakeKong
from tests.fakes.policy_service import SECRET, FakePolicyService
from tests.fakes.samples import (
    AZURE,
    CALLER,
    OPENAI,
    SECRETS,
    chat_body,
    decision,
    openai_answer,
)
from tests.fixtures.plugin_spans import KeptSpans, facts_of, id_of, parent_of, trace_of

CLIENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
RECORD = {"upstream_status": "200", "response": {"status": 200}}
DIRECT = [
    "llm-auth access",
    "llm-token-meter access",
    "llm-provider-transform access",
    "llm-provider-transform response",
    "llm-token-meter report",
]


class Route:
    """One request after another through the three, each in its own server's name."""

    def __init__(self, service: FakePolicyService, kept: KeptSpans | None, folder: Path) -> None:
        config = {"policy_url": service.url, "policy_secret": SECRET, "timeout_ms": 5000}
        journal = {"journal_path": str(folder / "journal"), "operation": "chat.completions"}
        self.service, self.kept = service, kept
        self.auth, self.meter = Auth(config), Meter({**config, **journal})
        self.transform = Transform({"credentials": SECRETS})

    async def call(self, key: str = "gk-1", **headers: str) -> FakeKong:
        kong = FakeKong(
            {
                "request.get_headers": {
                    "authorization": [f"Bearer {key}"],
                    **{name: [value] for name, value in headers.items()},
                },
                "request.get_raw_body": chat_body(),
                "service.response.get_raw_body": openai_answer("words of an answer"),
                "log.serialize": RECORD,
            }
        )
        for plugin, phase in (
            ("llm-auth", self.auth.access),
            ("llm-token-meter", self.meter.access),
            ("llm-provider-transform", self.transform.access),
        ):
            with self._server(plugin):
                if await kong.run(phase) is not None:
                    return kong
        if "nginx.set_ctx" not in kong.methods:  # Kong collects the answer
            with self._server("llm-provider-transform"):
                await kong.run(self.transform.response)
        with self._server("llm-token-meter"):
            await kong.run(self.meter.log)
            # The report goes out after the phase, still in the meter's name.
            await asyncio.gather(*self.meter._tasks - {self.meter._delivering})
        return kong

    def _server(self, plugin: str) -> AbstractContextManager[None]:
        return nullcontext() if self.kept is None else self.kept.of(plugin)

    async def close(self) -> None:
        await self.auth.close()
        await self.meter.close()


@pytest.fixture
def kept() -> KeptSpans:
    return KeptSpans()


@asynccontextmanager
async def route(kept: KeptSpans | None, folder: Path, made: Any) -> AsyncIterator[Route]:
    async with FakePolicyService({"gk-1": CALLER}, made).running() as service:
        running = Route(service, kept, folder)
        try:
            yield running
        finally:
            await running.close()


def traceparents(service: FakePolicyService) -> dict[str, str | None]:
    """By the end of its path, what each question said."""
    return {path.rsplit("/", 1)[-1]: sent for path, sent in service.traceparents}


async def test_a_direct_call_has_a_span_for_each_phase_all_of_them_the_client_s_children(
    kept: KeptSpans, tmp_path: Path
) -> None:
    async with route(kept, tmp_path, decision(OPENAI)) as through:
        await through.call(traceparent=CLIENT)
        asked = traceparents(through.service)
    assert kept.names == DIRECT
    assert {trace_of(span) for span in kept.all} == {CLIENT[3:35]}
    assert {parent_of(span) for span in kept.all} == {CLIENT[36:52]}
    meter, report = kept.named(DIRECT[1]), kept.named(DIRECT[4])
    assert asked["decisions"] == f"00-{CLIENT[3:35]}-{id_of(meter)}-01"
    assert asked["usage"] == f"00-{CLIENT[3:35]}-{id_of(report)}-01"
    told = facts_of(kept.named("llm-provider-transform access"))
    assert told["gen_ai.provider.name"] == "openai"
    assert told["gen_ai.request.model"] == "gpt-4o-mini"
    assert told["gatehouse.deployment"] == "openai-mini"
    assert told["gatehouse.transport"] == "direct"
    assert facts_of(report)["gatehouse.report"] == "settled"
    assert facts_of(meter)["gatehouse.transport"] == "direct"


async def test_without_a_trace_of_the_client_s_llm_auth_begins_the_decision_s(
    kept: KeptSpans, tmp_path: Path
) -> None:
    async with route(kept, tmp_path, decision(OPENAI)) as through:
        await through.call()
        [asked] = through.service.bodies("/decisions")
        sent = traceparents(through.service)["decisions"]
    trace, _ = ids_of(asked["decision_id"])
    root = kept.named("llm-auth access")
    # The fake answers with a decision of its own id: what follows keeps to the trace.
    assert {trace_of(span) for span in kept.all} == {trace}
    assert parent_of(root) == ""
    assert {parent_of(span) for span in kept.all if span is not root} == {id_of(root)}
    assert sent is not None
    assert sent[3:52] == f"{trace}-{id_of(kept.named(DIRECT[1]))}"


async def test_a_call_by_the_relay_ends_with_the_last_access_phase(
    kept: KeptSpans, tmp_path: Path
) -> None:
    async with route(kept, tmp_path, decision(OPENAI, AZURE)) as through:
        await through.call(traceparent=CLIENT)
    assert kept.names == DIRECT[:3]
    assert facts_of(kept.named(DIRECT[2]))["gatehouse.transport"] == "relay"


async def test_who_is_refused_ends_at_the_plugin_that_refuses(
    kept: KeptSpans, tmp_path: Path
) -> None:
    body = {"error": {"message": "words of a policy", "code": "policy_denied"}}
    denied = replace(decision(OPENAI), denial=Denial(403, body))
    async with route(kept, tmp_path, denied) as through:
        await through.call("gk-unknown", traceparent=CLIENT)
        await through.call(traceparent=CLIENT)
    assert kept.names == ["llm-auth access", *DIRECT[:2]]
    unknown, _, refused = kept.all
    assert facts_of(unknown)["gatehouse.refusal"] == "invalid_api_key"
    assert facts_of(refused)["gatehouse.refusal"] == "policy_denied"
    assert facts_of(refused)["http.response.status_code"] == 403
    assert {parent_of(span) for span in kept.all} == {CLIENT[36:52]}


async def test_a_report_that_has_to_wait_says_so(kept: KeptSpans, tmp_path: Path) -> None:
    async with route(kept, tmp_path, decision(OPENAI)) as through:
        through.service.fails_for = {"dec_1"}
        await through.call(traceparent=CLIENT)
    report = kept.named("llm-token-meter report")
    assert facts_of(report)["gatehouse.report"] == "journalled"
    assert facts_of(report)["error.type"] == "PolicyUnavailable"


async def test_nothing_of_a_call_and_no_secret_is_in_a_span(
    kept: KeptSpans, tmp_path: Path
) -> None:
    async with route(kept, tmp_path, decision(OPENAI)) as through:
        await through.call(traceparent=CLIENT)
    told = "".join(span.to_json() for span in kept.all)
    for secret in ("gk-1", "hello", "words of", SECRET, *SECRETS.values(), CALLER.team):
        assert secret not in told


async def test_spans_cost_no_pdk_call(kept: KeptSpans, tmp_path: Path) -> None:
    for made in (decision(OPENAI), decision(OPENAI, AZURE)):
        async with route(kept, tmp_path, made) as through:
            traced = await through.call()
            through.kept = None
            assert (await through.call()).methods == traced.methods
