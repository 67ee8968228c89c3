"""Spans on their way to a collector: in batches, by a thread, dropped rather than waited for."""

from importlib.metadata import version
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from policy_service.adapters.otel.ids import DecisionIds

_PATH: Final = "/v1/traces"
_MOST_WAITING: Final = 4096
"""Spans; what comes beyond them is dropped."""

_BATCH: Final = 512
_EVERY_MS: Final = 1000
_TIMEOUT_S: Final = 5
_OURS: Final = "gatehouse"


def open_provider(endpoint: str) -> TracerProvider:
    """Begin to export. `OTEL_*` variables say the rest: headers, resource, sampler.

    Args:
        endpoint: A collector's base URL for OTLP over HTTP, such as `http://collector:4318`.
    """
    provider = TracerProvider(
        resource=_resource(), id_generator=DecisionIds(), shutdown_on_exit=False
    )
    exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + _PATH, timeout=_TIMEOUT_S)
    provider.add_span_processor(
        BatchSpanProcessor(
            exporter,
            max_queue_size=_MOST_WAITING,
            max_export_batch_size=_BATCH,
            schedule_delay_millis=_EVERY_MS,
        )
    )
    return provider


def _resource() -> Resource:
    named = Resource.create({SERVICE_VERSION: version("gatehouse-llm")})
    if str(named.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        return named.merge(Resource({SERVICE_NAME: _OURS}))
    return named
