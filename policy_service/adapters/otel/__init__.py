"""OpenTelemetry; imported only where an endpoint is set."""

from policy_service.adapters.otel.engine import TracedEngine
from policy_service.adapters.otel.exporting import open_provider
from policy_service.adapters.otel.tracing import OtelTracing

__all__ = ["OtelTracing", "TracedEngine", "open_provider"]
