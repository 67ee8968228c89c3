"""Remembers for a moment what the service answered, for each person apart."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic

from dashboard.api.client import Query

_MOST = 2000

_Question = tuple[str, str, Query]


@dataclass(slots=True)
class _Held:
    """An answer, or one that is on its way: then it is as new as can be."""

    answer: Future[bytes] = field(default_factory=Future)
    at_s: float = float("inf")


class Memory:
    """Answers by who asked what. What is being asked already is waited for, and not asked twice.

    Args:
        most: So many of them; the oldest go first.
        clock: Seconds that only go forward.
    """

    def __init__(self, *, most: int = _MOST, clock: Callable[[], float] = monotonic) -> None:
        self._most = most
        self._clock = clock
        self._lock = Lock()
        self._held: dict[_Question, _Held] = {}

    def __call__(
        self, who: str, path: str, query: Query, ask: Callable[[], bytes], old_s: float
    ) -> bytes:
        """An answer that is fresh, or a new one. What fails is told to all who wait, and forgotten.

        Args:
            who: A digest of who asks: nobody is given what was answered to another.
            path: Of the question.
            query: Of the question.
            ask: Asks it.
            old_s: How old the answer may be.
        """
        question = (who, path, tuple(query))
        with self._lock:
            held = self._held.get(question)
            is_mine = held is None or self._clock() - held.at_s >= old_s
            if held is None or is_mine:
                held = self._held_anew(question)
        if not is_mine:
            return held.answer.result()
        try:
            content = ask()
        except BaseException as error:
            with self._lock:
                if self._held.get(question) is held:
                    del self._held[question]
            held.answer.set_exception(error)
            raise
        held.at_s = self._clock()
        held.answer.set_result(content)
        return content

    def forget(self) -> None:
        """Everything; what is on its way reaches those who wait for it, and nobody after them."""
        with self._lock:
            self._held.clear()

    def _held_anew(self, question: _Question) -> _Held:
        # The newest is last, so that the first is the oldest.
        self._held.pop(question, None)
        held = self._held[question] = _Held()
        for other in list(self._held)[: max(0, len(self._held) - self._most)]:
            del self._held[other]
        return held
