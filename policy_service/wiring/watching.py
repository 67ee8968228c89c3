"""What counts and traces, where an operator wants that; neither library is loaded otherwise."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_core.catalogue import Catalogue
from policy_service.ports.audit import AuditChain
from policy_service.ports.clock import Clock
from policy_service.ports.ledger import Ledger
from policy_service.ports.limits import LimitsStore
from policy_service.ports.observing import UNOBSERVED, Observer, Page
from policy_service.ports.policy import PolicyEngine
from policy_service.ports.providers import Health
from policy_service.ports.screening import FindingsLog, Screener
from policy_service.ports.tracing import UNTRACED, Tracing
from policy_service.services.decision_recorder import DecisionRecorder
from policy_service.services.watching import Watch
from policy_service.settings import Settings
from policy_service.wiring.background import in_background

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from policy_service.adapters.otel import OtelTracing


@dataclass(frozen=True, slots=True)
class Watching:
    """What is watched with.

    Args:
        registry: Where this app's metrics are; `None` without any.
        traces: `None` without any.
    """

    catalogue: Catalogue
    watch: Watch
    registry: "CollectorRegistry | None" = None
    traces: "OtelTracing | None" = None

    def engine(self, engine: PolicyEngine) -> PolicyEngine:
        """The engine that decides, traced."""
        if self.traces is None:
            return engine
        from policy_service.adapters.otel import TracedEngine  # noqa: PLC0415 - only where traced

        return TracedEngine(engine, self.traces.tracer)

    def screener(self, screener: Screener) -> Screener:
        """What looks at words, timed."""
        if self.registry is None:
            return screener
        from policy_service.adapters.metrics import TimedScreener  # noqa: PLC0415 - likewise

        return TimedScreener(screener, self.registry)

    def findings(self, log: FindingsLog) -> FindingsLog:
        """Who is told of findings, counted."""
        if self.registry is None:
            return log
        from policy_service.adapters.metrics import CountedFindings  # noqa: PLC0415 - likewise

        return CountedFindings(log, self.registry)

    async def page(
        self,
        stack: AsyncExitStack,
        *,
        health: Health,
        ledger: Ledger,
        limits: LimitsStore,
        policy: PolicyEngine,
        recorder: DecisionRecorder,
        chain: AuditChain,
        clock: Clock,
        is_degraded: Callable[[], bool],
    ) -> Page | None:
        """What Prometheus scrapes; `None` when it is off."""
        if self.registry is None:
            return None
        from policy_service.adapters.metrics import (  # noqa: PLC0415 - likewise
            MetricsPage,
            OwnGauges,
            Standing,
            shared_folder,
        )

        own, shared = OwnGauges(self.registry, recorder, is_degraded), shared_folder()
        if shared is not None:
            await in_background(stack, own.run())
        standing = Standing(
            catalogue=self.catalogue,
            health=health,
            dependencies={"database": ledger, "limits": limits, "policy": policy},
            queue=limits,
            chain=chain,
            clock=clock,
            own=own,
        )
        return MetricsPage(self.registry, standing, shared)


def open_watching(stack: AsyncExitStack, settings: Settings, catalogue: Catalogue) -> Watching:
    """Begin to count and to trace, as the settings say; the stack sends the last spans."""
    observer: Observer = UNOBSERVED
    registry = traces = None
    if settings.has_metrics:
        from prometheus_client import (  # noqa: PLC0415 - only where counted
            CollectorRegistry,
            disable_created_metrics,
        )

        from policy_service.adapters.metrics import (  # noqa: PLC0415
            CatalogueNames,
            Counting,
            Unfailing,
        )

        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = CollectorRegistry()
        counting = Counting(registry, CatalogueNames(catalogue), settings.metrics_teams)
        observer = Unfailing(counting)
    tracing: Tracing = UNTRACED
    if settings.otlp_endpoint:
        from policy_service.adapters.otel import OtelTracing, open_provider  # noqa: PLC0415

        provider = open_provider(settings.otlp_endpoint)

        async def close() -> None:
            await asyncio.to_thread(provider.shutdown)

        stack.push_async_callback(close)
        tracing = traces = OtelTracing(provider, catalogue)
    return Watching(catalogue, Watch(observer, tracing), registry, traces)
