"""Spans of decisions and of calls to providers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    TraceFlags,
    Tracer,
    get_current_span,
    set_span_in_context,
)

from llm_core.catalogue import Catalogue
from llm_core.errors import UnknownModel
from llm_core.gen_ai import OPERATIONS, about_call
from llm_core.policy.decision import DecisionRequest, ErrorClass, PricedDeployment, Reservation
from llm_core.tokens.usage import TokenUsage
from llm_core.trace_context import TRACEPARENT, ids_of, parts
from policy_service import call_context
from policy_service.adapters.otel.attributes import about_answer, failed
from policy_service.adapters.otel.ids import DecisionIds
from policy_service.ports import tracing
from policy_service.ports.ledger import UsageRow

_NAME: Final = "gatehouse"
_NS: Final = 1_000_000_000
_US: Final = 1_000_000


class OtelTracing:
    """Implements `Tracing`.

    Args:
        provider: Exports; its ids are `DecisionIds`.
        catalogue: Knows which models there are: what else a caller asked for is not repeated.
    """

    def __init__(self, provider: TracerProvider, catalogue: Catalogue) -> None:
        if not isinstance(provider.id_generator, DecisionIds):
            raise TypeError("the tracer's ids must be those of decisions")
        self._ids = provider.id_generator
        self._sampler = provider.sampler
        self.tracer: Tracer = provider.get_tracer(_NAME)
        self._catalogue = catalogue

    @contextmanager
    def deciding(self, decision_id: str, request: DecisionRequest) -> Iterator[tracing.Span]:
        """See the port."""
        operation = request.call.operation.value
        facts: dict[str, str | int] = {
            "gatehouse.decision.id": decision_id,
            "gatehouse.operation": operation,
            "gen_ai.operation.name": OPERATIONS.get(operation, operation),
            "gen_ai.request.model": self._asked_model(request.call.asked_model),
        }
        with self._ids.of(decision_id):
            span = self.tracer.start_span(
                "decide", _client_context(), kind=SpanKind.SERVER, attributes=_said(facts)
            )
        token = otel_context.attach(set_span_in_context(span))
        try:
            yield _Span(span)
        except BaseException as fault:
            failed(span, type(fault).__name__)
            raise
        finally:
            otel_context.detach(token)
            span.end()

    @contextmanager
    def following(self, decision_id: str) -> Iterator[None]:
        """See the port."""
        token = otel_context.attach(self._after(decision_id))
        try:
            yield
        finally:
            otel_context.detach(token)

    def calling(self, reservation: Reservation, priced: PricedDeployment) -> tracing.CallSpan:
        """See the port."""
        facts = {
            **about_call(reservation.operation.value, priced.deployment),
            "gen_ai.request.max_tokens": reservation.max_output_tokens,
            "gatehouse.decision.id": reservation.decision_id,
            "gatehouse.transport": "relay",
        }
        return _Call(self._start(facts))

    def called(self, row: UsageRow) -> None:
        """See the port."""
        known = None if row.deployment_id is None else self._catalogue.deployment(row.deployment_id)
        if known is None:
            return
        facts = {
            **about_call(row.operation, known),
            "gatehouse.decision.id": row.decision_id,
            "gatehouse.transport": row.transport,
        }
        # Kong calls at once when it was decided; what it reports may come much later.
        started_ns = round(row.at.timestamp() * _US) * (_NS // _US)
        span = self._start(facts, started_ns=started_ns)
        usage = TokenUsage(
            input_tokens=row.input_tokens,
            output_tokens=row.output_tokens,
            cached_input_tokens=row.cached_input_tokens,
            cache_write_tokens=row.cache_write_tokens,
        )
        span.set_attributes(about_answer(usage, row.served_model))
        if row.error_class != ErrorClass.NONE.value:
            failed(span, row.error_class)
        span.end(started_ns + int((row.total_ms or 0.0) / 1000 * _NS))

    def _start(self, facts: dict[str, str | int], started_ns: int | None = None) -> Span:
        name = f"{facts['gen_ai.operation.name']} {facts['gen_ai.request.model']}"
        parent = None
        if not get_current_span().get_span_context().is_valid:
            parent = self._after(str(facts["gatehouse.decision.id"]))
        return self.tracer.start_span(
            name, parent, kind=SpanKind.CLIENT, attributes=_said(facts), start_time=started_ns
        )

    def _after(self, decision_id: str) -> Context:
        """As a child of the decision's span, wherever that was made."""
        trace, span = ids_of(decision_id)
        came = parts(call_context.traceparent.get())
        if came is None:
            told = self._sampler.should_sample(None, int(trace, 16), "decide").decision
            is_sampled = told is Decision.RECORD_AND_SAMPLE
        else:
            trace, is_sampled = came[0], bool(int(came[2], 16) & TraceFlags.SAMPLED)
        return _remote(trace, span, is_sampled=is_sampled)

    def _asked_model(self, asked: str) -> str:
        try:
            return self._catalogue.model(asked).alias
        except UnknownModel:
            return ""


class _Span:
    """Implements `ports.tracing.Span`."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def note(self, facts: Mapping[str, str | int]) -> None:
        """See the port."""
        self._span.set_attributes(_said(facts))


class _Call:
    """Implements `ports.tracing.CallSpan`."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def headers(self) -> Mapping[str, str]:
        """See the port."""
        known = self._span.get_span_context()
        value = f"00-{known.trace_id:032x}-{known.span_id:016x}-{known.trace_flags:02x}"
        return {TRACEPARENT: value}

    def answered(self, usage: TokenUsage, served_model: str | None, failure: str = "") -> None:
        """See the port."""
        self._span.set_attributes(about_answer(usage, served_model))
        if failure:
            failed(self._span, failure)
        self._span.end()

    def failed(self, kind: str) -> None:
        """See the port."""
        failed(self._span, kind)
        self._span.end()


def _client_context() -> Context:
    """As a child of what the client, or Kong, has said; of nobody otherwise."""
    came = parts(call_context.traceparent.get())
    if came is None:
        return Context()
    return _remote(came[0], came[1], is_sampled=bool(int(came[2], 16) & TraceFlags.SAMPLED))


def _remote(trace: str, span: str, *, is_sampled: bool) -> Context:
    flags = TraceFlags(TraceFlags.SAMPLED if is_sampled else TraceFlags.DEFAULT)
    known = SpanContext(int(trace, 16), int(span, 16), is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(known), Context())


def _said(facts: Mapping[str, str | int]) -> dict[str, str | int]:
    return {name: value for name, value in facts.items() if value != ""}
