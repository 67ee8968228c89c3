"""Where things stand at the moment of a scrape: asked then, and not before.

What all processes share (queue, reservations, chain, breakers) is told by whichever process is
scraped. What belongs to one process is kept up to date by each, in gauges.
"""

import asyncio
import logging
import platform
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from time import monotonic
from typing import Final, Protocol, TypeVar

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from llm_core.audit.event import Head
from llm_core.catalogue import Catalogue
from llm_core.errors import PolicyUnavailable
from llm_core.routing.facts import BreakerState
from policy_service.ports.clock import Clock
from policy_service.ports.limits import Backlog
from policy_service.ports.providers import Health
from policy_service.services.background import for_ever
from policy_service.services.health import each_deployment

T = TypeVar("T")
_LONGEST_S: Final = 2.0
"""A scrape waits for nobody longer: Prometheus gives it up after 10 s."""

_CHAIN_FRESH_S: Final = 15.0
"""So often the database is asked how long the audit chain is, however often somebody scrapes."""

_LOOK_S: Final = 2.0
_STATES: Final = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}
_log = logging.getLogger(__name__)


class _Heads(Protocol):
    async def heads(self) -> Iterable[Head]: ...


class _Ready(Protocol):
    async def ready(self) -> bool: ...


class _Queue(Protocol):
    async def backlog(self) -> Backlog: ...


class _Recorder(Protocol):
    lost: int

    @property
    def waiting(self) -> int: ...


@dataclass(frozen=True, slots=True)
class _Now:
    """What was found out for one scrape; `None` where it could not be."""

    ready: dict[str, bool]
    backlog: Backlog | None
    chain: tuple[int, int] | None


class OwnGauges:
    """What only this process knows of itself.

    Args:
        registry: Of this app.
        recorder: Brings decisions to the audit chain.
        is_degraded: Whether the store of limits cannot be asked.
    """

    def __init__(
        self, registry: CollectorRegistry, recorder: _Recorder, is_degraded: Callable[[], bool]
    ) -> None:
        self._recorder, self._is_degraded = recorder, is_degraded
        self._degraded = Gauge(
            "gatehouse_degraded",
            "1 while the store of limits cannot be asked, by one process at least.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._waiting = Gauge(
            "gatehouse_audit_events_waiting",
            "Audit events that wait in processes for their place in the chain.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._lost = Gauge(
            "gatehouse_audit_events_lost",
            "Audit events that found no room, since each process started.",
            registry=registry,
            multiprocess_mode="livesum",
        )

    def look(self) -> None:
        """Bring them up to date."""
        self._degraded.set(float(self._is_degraded()))
        self._waiting.set(self._recorder.waiting)
        self._lost.set(self._recorder.lost)

    async def run(self) -> None:
        """Keep them up to date until cancelled, for a scrape that another process answers."""
        await for_ever("the process's gauges", self._look_and_wait)

    async def _look_and_wait(self) -> None:
        self.look()
        await asyncio.sleep(_LOOK_S)


@dataclass(slots=True)
class Standing:
    """Finds out how things stand.

    Args:
        dependencies: What the service cannot do without, by name.
        queue: Knows what is not in the ledger yet.
        chain: Knows the audit chain's ends.
    """

    catalogue: Catalogue
    health: Health
    dependencies: dict[str, _Ready]
    queue: _Queue
    chain: _Heads
    clock: Clock
    own: OwnGauges
    _chain_known: tuple[float, tuple[int, int]] | None = None
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def look(self) -> Collector:
        """Ask everybody at once, nobody for long."""
        self.own.look()
        names = tuple(self.dependencies)
        states, backlog, chain = await asyncio.gather(
            asyncio.gather(*(_asked(self.dependencies[name].ready) for name in names)),
            _asked(self.queue.backlog),
            _asked(self._chain_length),
        )
        ready = {name: bool(state) for name, state in zip(names, states, strict=True)}
        return _Families(self, _Now(ready, backlog, chain), self.clock())

    async def _chain_length(self) -> tuple[int, int]:
        async with self._asking:
            if self._chain_known is None or monotonic() > self._chain_known[0] + _CHAIN_FRESH_S:
                heads = list(await self.chain.heads())
                self._chain_known = monotonic(), (len(heads), sum(head.seq for head in heads))
            return self._chain_known[1]


class _Families(Collector):
    """Prometheus's form of what was found out."""

    def __init__(self, standing: Standing, now: _Now, at: datetime) -> None:
        self._standing, self._now, self._at = standing, now, at

    def collect(self) -> Iterable[Metric]:
        """See `Collector`."""
        yield _labelled(
            "gatehouse_build_info",
            "Always 1; the labels say what runs.",
            {"version": version("gatehouse-llm"), "python": platform.python_version()},
        )
        up = GaugeMetricFamily(
            "gatehouse_dependency_up",
            "1 when what the service depends on answers.",
            labels=["dependency"],
        )
        for name, is_ready in self._now.ready.items():
            up.add_metric([name], float(is_ready))
        yield up
        yield self._breakers()
        if self._now.backlog is not None:
            yield from self._queue(self._now.backlog)
        if self._now.chain is not None:
            chains, events = self._now.chain
            yield GaugeMetricFamily("gatehouse_audit_chains", "Audit chains.", value=chains)
            yield GaugeMetricFamily(
                "gatehouse_audit_chain_events",
                "How high the audit chains stand, all together; it never falls.",
                value=events,
            )

    def _breakers(self) -> Metric:
        family = GaugeMetricFamily(
            "gatehouse_breaker_state",
            "A deployment's breaker: 0 closed, 1 half-open, 2 open.",
            labels=["deployment", "ai_provider", "ai_model"],
        )
        for one in each_deployment(self._standing.catalogue):
            state = self._standing.health.facts(one.id).breaker
            family.add_metric([one.id, one.provider_name, one.model], _STATES[state])
        return family

    def _queue(self, backlog: Backlog) -> Iterable[Metric]:
        yield GaugeMetricFamily(
            "gatehouse_reservations_open",
            "Calls that are decided and not settled.",
            value=backlog.open_reservations,
        )
        yield GaugeMetricFamily(
            "gatehouse_ledger_queue_rows",
            "Booked calls that are not in the ledger yet.",
            value=backlog.rows,
        )
        age_s = 0.0
        if backlog.oldest_row_at is not None:
            age_s = max((self._at - backlog.oldest_row_at).total_seconds(), 0.0)
        yield GaugeMetricFamily(
            "gatehouse_ledger_queue_age_seconds",
            "How long the oldest of them has waited.",
            value=age_s,
        )


def _labelled(name: str, help_text: str, labels: dict[str, str]) -> Metric:
    family = GaugeMetricFamily(name, help_text, labels=list(labels))
    family.add_metric(list(labels.values()), 1)
    return family


async def _asked(ask: Callable[[], Awaitable[T]]) -> T | None:
    """The answer; `None` when there is none in time."""
    try:
        async with asyncio.timeout(_LONGEST_S):
            return await ask()
    except (PolicyUnavailable, TimeoutError) as outage:
        _log.debug("a scrape goes without an answer: %s", type(outage).__name__)
        return None
