"""How long words are looked at, and what is found in them: kinds, never text."""

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from llm_core.policy.decision import Reservation
from llm_core.screening.redact import Finding
from llm_core.screening.words import Word
from policy_service.adapters.metrics.labels import CappedNames
from policy_service.ports.screening import FindingsLog, Guarded, Screener

_BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_MOST_KINDS: Final = 200
"""Compliance names kinds of its own in the policy's lists."""

_DIRECTIONS: Final = frozenset({"input", "output", "guard"})


class TimedScreener:
    """Implements `Screener` with another one's answers, and times them."""

    def __init__(self, screener: Screener, registry: CollectorRegistry) -> None:
        self._screener = screener
        self._taken_s = Histogram(
            "gatehouse_screening_duration_seconds",
            "How long a call's words were looked at.",
            ("work",),
            registry=registry,
            buckets=_BOUNDS_S,
        )

    async def find(self, texts: Sequence[str], kinds: Sequence[str]) -> list[list[Finding]]:
        """See the port."""
        started_s = perf_counter()
        try:
            return await self._screener.find(texts, kinds)
        finally:
            self._taken_s.labels("find").observe(perf_counter() - started_s)

    async def guard(self, profile: str, words: Sequence[Word]) -> Guarded:
        """See the port."""
        started_s = perf_counter()
        try:
            return await self._screener.guard(profile, words)
        finally:
            self._taken_s.labels("guard").observe(perf_counter() - started_s)


class CountedFindings:
    """Implements `FindingsLog`: counts, and hands on."""

    def __init__(self, log: FindingsLog, registry: CollectorRegistry) -> None:
        self._log = log
        self._kinds = CappedNames(_MOST_KINDS)
        self._found = Counter(
            "gatehouse_screening_findings_total",
            "What screening found, by direction and kind.",
            ("direction", "kind"),
            registry=registry,
        )

    def note(self, reservation: Reservation, findings: Mapping[str, int]) -> None:
        """See the port."""
        for name, count in findings.items():
            direction, _, kind = name.partition(".")
            if direction in _DIRECTIONS:
                self._found.labels(direction, self._kinds.label(kind)).inc(count)
        self._log.note(reservation, findings)
