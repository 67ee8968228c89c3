"""A counter that fails harms no call: the decision goes out, and somebody is told."""

import logging
from typing import Any

import pytest

from llm_core.operation import Operation
from policy_service.adapters.metrics import Unfailing
from policy_service.ports.observing import DecisionFacts

FACTS = DecisionFacts(Operation.CHAT_COMPLETIONS, "allowed", "opa", 0.001, 0.0005)


class Full:
    """Counts on a disk that is full."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def decided(self, facts: DecisionFacts) -> None:
        self._fail("decided")

    def booked(self, row: Any) -> None:
        self._fail("booked")

    def reported(self, outcome: str, *, is_brought_along: bool) -> None:
        self._fail(f"{outcome} {is_brought_along}")

    def not_identified(self, why: str) -> None:
        self._fail(why)

    def _fail(self, what: str) -> None:
        self.asked.append(what)
        raise OSError(28, "No space left on device", "/secret/folder")


def test_what_cannot_be_counted_is_told_once_and_raises_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    full = Full()
    observer = Unfailing(full)
    with caplog.at_level(logging.ERROR):
        observer.decided(FACTS)
        observer.booked(None)  # type: ignore[arg-type]
        observer.reported("settled", is_brought_along=True)
    assert full.asked == ["decided", "booked", "settled True"]
    assert [record.getMessage() for record in caplog.records] == [
        "metrics are not counted just now: OSError"
    ]
