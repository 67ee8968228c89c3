"""A policy engine whose evaluations are traced."""

from typing import Any

from opentelemetry.trace import Tracer

from policy_service.adapters.otel.attributes import failed
from policy_service.ports.policy import PolicyEngine, PolicyResult


class TracedEngine:
    """Implements `PolicyEngine` with another one's answers."""

    def __init__(self, engine: PolicyEngine, tracer: Tracer) -> None:
        self._engine, self._tracer = engine, tracer

    @property
    def name(self) -> str:
        """The engine's own."""
        return self._engine.name

    async def evaluate(self, document: dict[str, Any]) -> PolicyResult:
        """See the port; the span has no part of the document."""
        with self._tracer.start_as_current_span(
            "policy", record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                result = await self._engine.evaluate(document)
            except BaseException as fault:
                failed(span, type(fault).__name__)
                raise
            span.set_attribute("gatehouse.policy.engine", result.engine or self._engine.name)
            span.set_attribute("gatehouse.policy.revision", result.revision)
            span.set_attribute("gatehouse.policy.allow", result.allow)
            span.set_attribute(
                "gatehouse.policy.codes", sorted({reason.code for reason in result.reasons})
            )
            return result

    async def ready(self) -> bool:
        """See the port."""
        return await self._engine.ready()

    async def close(self) -> None:
        """See the port."""
        await self._engine.close()
