"""Spans, their parents and what they say; the exporter is the SDK's own, in memory."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode

from llm_core.errors import PolicyUnavailable
from llm_core.policy.decision import DecisionRequest, PricedDeployment
from llm_core.tokens.usage import TokenUsage
from llm_core.trace_context import ids_of
from policy_service import call_context
from policy_service.adapters.otel import OtelTracing, TracedEngine
from policy_service.adapters.otel.ids import DecisionIds
from tests.fakes.policy import FakePolicy
from tests.fakes.samples import (
    AZURE,
    CALLER,
    CATALOGUE,
    OPENAI,
    PRICE,
    USAGE_ROW,
    chat_body,
    chat_call,
)
from tests.fixtures.reservations import reservation

CLIENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NOT_SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
RESERVATION = reservation("dec_1")
ASKED = DecisionRequest(CALLER, chat_call(chat_body()))
DECISION = "dec_01kaf3v2000000000000000000"


class Traced:
    """Tracing, and what came out of it."""

    def __init__(self, sampler: ParentBased | None = None) -> None:
        self.provider = TracerProvider(
            id_generator=DecisionIds(), shutdown_on_exit=False, sampler=sampler
        )
        self._kept = InMemorySpanExporter()
        self.provider.add_span_processor(SimpleSpanProcessor(self._kept))
        self.tracing = OtelTracing(self.provider, CATALOGUE)

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self._kept.get_finished_spans()}


@pytest.fixture
def traced() -> Traced:
    return Traced()


@pytest.fixture(autouse=True)
def nobody_else_s_call() -> Iterator[None]:
    before = call_context.traceparent.set(None)
    yield
    call_context.traceparent.reset(before)


def ids(span: ReadableSpan) -> tuple[str, str]:
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"


def parent(span: ReadableSpan) -> str | None:
    return None if span.parent is None else f"{span.parent.span_id:016x}"


async def test_a_decision_is_a_child_of_the_client_s_span_and_policy_of_the_decision(
    traced: Traced,
) -> None:
    call_context.traceparent.set(CLIENT)
    with traced.tracing.deciding(DECISION, ASKED) as span:
        await TracedEngine(FakePolicy(models=()), traced.tracing.tracer).evaluate(
            {"candidates": [], "call": {"asked_model": "words"}, "approvals": []}
        )
        span.note({"gatehouse.decision.code": "allowed", "gatehouse.transport": ""})
    decide, policy = traced.spans["decide"], traced.spans["policy"]
    assert ids(decide)[0] == CLIENT[3:35]
    assert parent(decide) == CLIENT[36:52]
    assert parent(policy) == ids(decide)[1]
    assert decide.kind is SpanKind.SERVER
    assert dict(decide.attributes or {}) == {
        "gatehouse.decision.id": DECISION,
        "gatehouse.operation": "chat.completions",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "mini",
        "gatehouse.decision.code": "allowed",
    }


@pytest.mark.parametrize("client", [None, CLIENT, "nonsense", "00-" + "0" * 32 + "-1-01"])
def test_who_serves_a_decision_later_finds_its_span_by_its_id(
    traced: Traced, client: str | None
) -> None:
    """In another process as well: nothing is handed on but the decision's id."""
    call_context.traceparent.set(client)
    with traced.tracing.deciding(DECISION, ASKED):
        pass
    elsewhere = Traced()
    with elsewhere.tracing.following(DECISION):
        span = elsewhere.tracing.calling(RESERVATION, PricedDeployment(OPENAI, PRICE))
        told = span.headers()["traceparent"]
        span.answered(TokenUsage(12, output_tokens=3), "gpt-4o-mini-2024-07-18")
    decide, call = traced.spans["decide"], elsewhere.spans["chat gpt-4o-mini"]
    assert parent(call) == ids(decide)[1]
    assert ids(call)[0] == ids(decide)[0]
    assert told == f"00-{ids(call)[0]}-{ids(call)[1]}-01"


def test_a_call_to_a_provider_speaks_the_convention_s_language(traced: Traced) -> None:
    with traced.tracing.following(DECISION):
        span = traced.tracing.calling(RESERVATION, PricedDeployment(AZURE, PRICE))
        span.answered(TokenUsage(12, cached_input_tokens=4, output_tokens=3), "gpt-4o-mini")
    call = traced.spans["chat mini"]
    assert call.kind is SpanKind.CLIENT
    assert dict(call.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "azure.ai.openai",
        "gen_ai.request.model": "mini",
        "gen_ai.request.max_tokens": 100,
        "gen_ai.response.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "server.address": "azure.test",
        "server.port": 443,
        "gatehouse.operation": "chat.completions",
        "gatehouse.deployment": "azure-mini",
        "gatehouse.region": "eu",
        "gatehouse.decision.id": "dec_1",
        "gatehouse.transport": "relay",
    }
    assert call.status.status_code is StatusCode.UNSET


def test_a_failure_is_a_word_and_a_stream_that_broke_off_has_its_usage(traced: Traced) -> None:
    with traced.tracing.following(DECISION):
        traced.tracing.calling(RESERVATION, PricedDeployment(OPENAI, PRICE)).failed("timeout")
        broken = traced.tracing.calling(RESERVATION, PricedDeployment(AZURE, PRICE))
        broken.answered(TokenUsage(12, output_tokens=1), "no model's name: words", "cut_off")
    failed, cut_off = traced.spans["chat gpt-4o-mini"], traced.spans["chat mini"]
    for span, kind in ((failed, "timeout"), (cut_off, "cut_off")):
        assert span.status.status_code is StatusCode.ERROR
        assert (span.attributes or {})["error.type"] == kind
        assert not span.events
    assert (cut_off.attributes or {})["gen_ai.usage.output_tokens"] == 1
    assert "gen_ai.response.model" not in (cut_off.attributes or {})


def test_what_kong_called_is_told_afterwards_with_the_time_it_took(traced: Traced) -> None:
    row = replace(USAGE_ROW, decision_id=DECISION, transport="direct", total_ms=1500.0)
    traced.tracing.called(row)
    with traced.tracing.following(DECISION):
        traced.tracing.called(replace(row, provider="openai", error_class="timeout"))
    first, second = traced._kept.get_finished_spans()
    assert parent(first) == parent(second) == ids_of(DECISION)[1]
    assert (first.end_time or 0) - (first.start_time or 0) == 1_500_000_000
    assert first.start_time == int(row.at.timestamp()) * 10**9 + row.at.microsecond * 1000
    assert (first.attributes or {})["gen_ai.usage.input_tokens"] == 12
    assert (second.attributes or {})["error.type"] == "timeout"


async def test_a_policy_engine_that_fails_is_marked_without_its_words(traced: Traced) -> None:
    down = FakePolicy()
    down.is_down = True
    with pytest.raises(PolicyUnavailable):
        await TracedEngine(down, traced.tracing.tracer).evaluate({})
    policy = traced.spans["policy"]
    assert (policy.attributes or {})["error.type"] == "PolicyUnavailable"
    assert (policy.status.status_code, policy.status.description) == (StatusCode.ERROR, None)
    assert not policy.events


def test_a_model_that_nobody_configured_is_not_repeated(traced: Traced) -> None:
    asked = DecisionRequest(CALLER, replace(ASKED.call, asked_model="my secret words"))
    with traced.tracing.deciding(DECISION, asked):
        pass
    assert "secret" not in str(traced.spans["decide"].to_json())


def test_who_does_not_want_to_be_traced_is_not(traced: Traced) -> None:
    call_context.traceparent.set(NOT_SAMPLED)
    with traced.tracing.deciding(DECISION, ASKED):
        pass
    with traced.tracing.following(DECISION):
        span = traced.tracing.calling(RESERVATION, PricedDeployment(OPENAI, PRICE))
        assert span.headers()["traceparent"].endswith("-00")
        span.failed("timeout")
    assert not traced.spans


@pytest.mark.parametrize("sampler", [ParentBased(ALWAYS_OFF), ParentBased(TraceIdRatioBased(0.5))])
def test_a_decision_and_what_follows_are_sampled_together(sampler: ParentBased) -> None:
    """Whoever follows does not know what was decided about the decision's span."""
    for number in range(20):
        traced = Traced(sampler)
        name = f"dec_{number}"
        with traced.tracing.deciding(name, ASKED):
            pass
        with traced.tracing.following(name):
            traced.tracing.calling(RESERVATION, PricedDeployment(OPENAI, PRICE)).failed("timeout")
        assert len(traced.spans) in (0, 2)


def test_an_exception_is_told_by_its_type_only(traced: Traced) -> None:
    with pytest.raises(ValueError, match="words"), traced.tracing.deciding(DECISION, ASKED):
        raise ValueError("words of a caller")
    decide = traced.spans["decide"]
    assert (decide.attributes or {})["error.type"] == "ValueError"
    assert "words" not in str(decide.to_json())
