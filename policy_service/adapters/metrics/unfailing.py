"""Keeps the promise of the port: what is counted amiss harms no call.

Several processes count in shared files, and a disk that is full, or a folder that was removed,
makes counting raise. By then a decision has reserved, or a call is booked: its answer must go out.
"""

import logging
from collections.abc import Callable
from time import monotonic

from policy_service.ports.ledger import UsageRow
from policy_service.ports.observing import DecisionFacts, Observer

_log = logging.getLogger(__name__)
_TELL_AGAIN_S = 60.0


class Unfailing:
    """Implements `Observer` by another that may fail.

    Args:
        observer: Counts.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._told_s: float | None = None

    def decided(self, facts: DecisionFacts) -> None:
        """See the port."""
        self._try(lambda: self._observer.decided(facts))

    def booked(self, row: UsageRow) -> None:
        """See the port."""
        self._try(lambda: self._observer.booked(row))

    def reported(self, outcome: str, *, is_brought_along: bool) -> None:
        """See the port."""
        self._try(lambda: self._observer.reported(outcome, is_brought_along=is_brought_along))

    def not_identified(self, why: str) -> None:
        """See the port."""
        self._try(lambda: self._observer.not_identified(why))

    def _try(self, count: Callable[[], None]) -> None:
        try:
            count()
        except Exception as fault:  # noqa: BLE001 - whatever it is, the call goes on
            now_s = monotonic()
            if self._told_s is None or now_s > self._told_s + _TELL_AGAIN_S:
                self._told_s = now_s
                _log.error("metrics are not counted just now: %s", type(fault).__name__)
