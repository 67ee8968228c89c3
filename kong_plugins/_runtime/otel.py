"""Spans in OpenTelemetry's hands: in batches, by a thread, dropped rather than waited for.

Imported only where `--traces` is given.
"""

import logging
import threading
from collections.abc import Sequence
from importlib.metadata import version
from typing import Final
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from kong_plugins._runtime.spans import Facts
from llm_core.trace_context import ids_of, parts

_PATH: Final = "/v1/traces"
_MOST_WAITING: Final = 2048
"""Spans; what comes beyond them is dropped."""

_BATCH: Final = 256
_EVERY_MS: Final = 1000
_TIMEOUT_S: Final = 5
_OURS: Final = "gatehouse-plugins"

_log = logging.getLogger(__name__)


class TraceIds(RandomIdGenerator):
    """Random ids, but for a trace that has its id from a decision's.

    A span is started in one step, so that nobody comes between.
    """

    fixed: int | None = None

    def generate_trace_id(self) -> int:
        """See `IdGenerator`; asked only where there is no parent."""
        return super().generate_trace_id() if self.fixed is None else self.fixed


class OtelTracer:
    """Implements `Tracer` for one plugin.

    Args:
        plugin: Its name.
        provider: Exports; its ids are `TraceIds`.
    """

    def __init__(self, plugin: str, provider: TracerProvider) -> None:
        if not isinstance(provider.id_generator, TraceIds):
            raise TypeError("the tracer's ids must be those of decisions")
        self._plugin = plugin
        self._ids = provider.id_generator
        self._provider = provider
        self._tracer = provider.get_tracer(_OURS)

    def start(
        self, name: str, parent: str | None, decision_id: str | None, started_ns: int
    ) -> "OtelSpan":
        """See `Tracer`."""
        came = parts(parent)
        if came is None and decision_id is not None:
            self._ids.fixed = int(ids_of(decision_id)[0], 16)
        try:
            return OtelSpan(
                self._tracer.start_span(
                    f"{self._plugin} {name}",
                    Context() if came is None else _remote(*came),
                    kind=SpanKind.INTERNAL,
                    attributes={"gatehouse.plugin": self._plugin},
                    start_time=started_ns,
                )
            )
        finally:
            self._ids.fixed = None

    def close(self, timeout_s: float) -> None:
        """Send what waits, within `timeout_s`; a collector that does not answer is left alone."""
        closing = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        closing.start()
        closing.join(timeout_s)


class OtelSpan:
    """Implements `StartedSpan`."""

    def __init__(self, span: Span) -> None:
        self._span = span

    @property
    def traceparent(self) -> str | None:
        """See `StartedSpan`; `None` when `OTEL_SDK_DISABLED` has the library make nothing."""
        known = self._span.get_span_context()
        if not known.is_valid:
            return None
        return f"00-{known.trace_id:032x}-{known.span_id:016x}-{known.trace_flags:02x}"

    def end(self, facts: Facts, failure: str | None) -> None:
        """See `StartedSpan`."""
        self._span.set_attributes({name: fact for name, fact in facts.items() if fact != ""})
        if failure is not None:
            self._span.set_attribute("error.type", failure)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


class LateExporter(SpanExporter):
    """OpenTelemetry's exporter, loaded by the thread that sends, with the first batch.

    It takes 0.3 s of processor time to load: a plugin server that has just been started has Kong
    waiting for it.

    Args:
        url: Where batches are posted.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._exporter: SpanExporter | None = None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """See `SpanExporter`."""
        if self._exporter is None:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
                OTLPSpanExporter,
            )

            self._exporter = OTLPSpanExporter(endpoint=self._url, timeout=_TIMEOUT_S)
        return self._exporter.export(spans)

    def shutdown(self) -> None:
        """See `SpanExporter`."""
        if self._exporter is not None:
            self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """See `SpanExporter`; nothing waits here."""
        return True


def open_tracer(plugin: str, endpoint: str) -> OtelTracer:
    """Begin to export. `OTEL_*` variables say the rest: headers, resource, sampler.

    Args:
        plugin: Whose spans they are.
        endpoint: A collector's base URL for OTLP over HTTP, such as `http://collector:4318`.
    """
    provider = TracerProvider(resource=_resource(), id_generator=TraceIds(), shutdown_on_exit=False)
    provider.add_span_processor(
        BatchSpanProcessor(
            LateExporter(endpoint.rstrip("/") + _PATH),
            max_queue_size=_MOST_WAITING,
            max_export_batch_size=_BATCH,
            schedule_delay_millis=_EVERY_MS,
        )
    )
    _log.info("traces go to %s", urlsplit(endpoint).hostname)
    return OtelTracer(plugin, provider)


def _resource() -> Resource:
    named = Resource.create({SERVICE_VERSION: version("gatehouse-llm")})
    if str(named.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        return named.merge(Resource({SERVICE_NAME: _OURS}))
    return named


def _remote(trace: str, span: str, flags: str) -> Context:
    is_sampled = int(flags, 16) & TraceFlags.SAMPLED
    known = SpanContext(
        int(trace, 16),
        int(span, 16),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED if is_sampled else TraceFlags.DEFAULT),
    )
    return set_span_in_context(NonRecordingSpan(known), Context())
