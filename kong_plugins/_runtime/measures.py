"""What a plugin server counts about itself; nothing, unless `--metrics` says where it is scraped.

Like logging this is the process's: `begin` is called once, at the start. Counting takes
microseconds; where it is off it takes a look at a variable.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import perf_counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_BOUNDS_S: Final = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
_NOTHING: Final[AbstractContextManager[None]] = nullcontext()
_PATHS: Final = {"/v1/callers/identify": "identify", "/v1/decisions": "decide"}
_REPORT: Final = "report"


class _Measures:
    """Prometheus's counters of one plugin server."""

    def __init__(self, plugin: str) -> None:
        from prometheus_client import (  # noqa: PLC0415 - only where somebody scrapes
            CollectorRegistry,
            Counter,
            Gauge,
            Histogram,
            disable_created_metrics,
        )

        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._plugin = plugin
        self.phase_s = Histogram(
            "gatehouse_plugin_phase_duration_seconds",
            "From a phase's beginning to its end, PDK calls included.",
            ("plugin", "phase"),
            registry=self.registry,
            buckets=_BOUNDS_S,
        )
        self.refused = Counter(
            "gatehouse_plugin_refusals_total",
            "What a phase answered in place of the provider, by code.",
            ("plugin", "phase", "code"),
            registry=self.registry,
        )
        self.asked_s = Histogram(
            "gatehouse_plugin_policy_request_duration_seconds",
            "Asking the policy service.",
            ("plugin", "question", "outcome"),
            registry=self.registry,
            buckets=_BOUNDS_S,
        )
        self.journalled = Counter(
            "gatehouse_plugin_journalled_reports_total",
            "Usage reports that had to wait in the journal.",
            ("plugin",),
            registry=self.registry,
        )
        self.delivered = Counter(
            "gatehouse_plugin_delivered_reports_total",
            "Usage reports from the journal that the policy service has taken.",
            ("plugin",),
            registry=self.registry,
        )
        self.lost = Counter(
            "gatehouse_plugin_lost_reports_total",
            "Usage reports that could neither be sent nor be written into the journal.",
            ("plugin",),
            registry=self.registry,
        )
        self.lost.labels(plugin)  # from 0, so that the first one is an increase
        self.waiting = Gauge(
            "gatehouse_plugin_journal_reports",
            "Usage reports that wait in the journal.",
            ("plugin", "journal"),
            registry=self.registry,
        )
        self.oldest_s = Gauge(
            "gatehouse_plugin_journal_oldest_seconds",
            "How long the oldest of them has waited.",
            ("plugin", "journal"),
            registry=self.registry,
        )

    @contextmanager
    def timed_phase(self, phase: str) -> Iterator[None]:
        started_s = perf_counter()
        try:
            yield
        finally:
            self.phase_s.labels(self._plugin, phase).observe(perf_counter() - started_s)

    @contextmanager
    def timed_question(self, path: str) -> Iterator[None]:
        started_s, outcome = perf_counter(), "failed"
        try:
            yield
            outcome = "answered"
        finally:
            question = _PATHS.get(path, _REPORT)
            taken_s = perf_counter() - started_s
            self.asked_s.labels(self._plugin, question, outcome).observe(taken_s)

    def count_refusal(self, phase: str, code: str) -> None:
        self.refused.labels(self._plugin, phase, code).inc()

    def count_journalled(self) -> None:
        self.journalled.labels(self._plugin).inc()

    def count_delivered(self, count: int) -> None:
        self.delivered.labels(self._plugin).inc(count)

    def count_lost(self) -> None:
        self.lost.labels(self._plugin).inc()

    def show_journal(self, journal: str, waiting: int, oldest_s: int) -> None:
        self.waiting.labels(self._plugin, journal).set(waiting)
        self.oldest_s.labels(self._plugin, journal).set(oldest_s)


class _Holder:
    """The process's measures, once there are some."""

    current: _Measures | None = None


def begin(plugin: str) -> "CollectorRegistry":
    """Count from now on.

    Returns:
        Where what is counted can be read.
    """
    _Holder.current = _Measures(plugin)
    return _Holder.current.registry


def phase(name: str) -> AbstractContextManager[None]:
    """Around a phase."""
    return _NOTHING if _Holder.current is None else _Holder.current.timed_phase(name)


def asking(path: str) -> AbstractContextManager[None]:
    """Around a question to the policy service."""
    return _NOTHING if _Holder.current is None else _Holder.current.timed_question(path)


def refused(phase_name: str, code: str) -> None:
    """A phase answers with one of our own errors."""
    if _Holder.current is not None:
        _Holder.current.count_refusal(phase_name, code)


def journalled() -> None:
    """A report waits in the journal."""
    if _Holder.current is not None:
        _Holder.current.count_journalled()


def delivered(count: int) -> None:
    """So many reports no longer do."""
    if _Holder.current is not None:
        _Holder.current.count_delivered(count)


def lost() -> None:
    """A report could be neither sent nor kept."""
    if _Holder.current is not None:
        _Holder.current.count_lost()


def journal_stands(journal: str, waiting: int, oldest_s: int) -> None:
    """So many reports wait in the file `journal`, the oldest for so long."""
    if _Holder.current is not None:
        _Holder.current.show_journal(journal, waiting, oldest_s)
