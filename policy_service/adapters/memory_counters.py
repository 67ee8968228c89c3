"""The kinds of counter in one process's memory; `redis_limits/counters.lua` has the same.

A `Window` is a counter too.
"""

from decimal import Decimal
from typing import Protocol

from policy_service.adapters.counters import RETRY_UNDER_WAY_S, Counter
from policy_service.adapters.windows import Window


class Counting(Protocol):
    """What counts for one limit. Looking changes nothing, whatever the time."""

    def used(self, now_ms: int) -> Decimal:
        """How much counts."""
        ...

    def frees_in_ms(self, now_ms: int) -> int:
        """Until something that counts now no longer does; 0 when nothing counts."""
        ...

    def fits_in_ms(self, wanted: Decimal, amount: Decimal, now_ms: int) -> int | None:
        """Until so much more fits; `None` when that cannot be told."""
        ...

    def take(self, amount: Decimal, at_ms: int, now_ms: int) -> int:
        """Add, and name the part it went to."""
        ...

    def move(self, part: int, delta: Decimal, now_ms: int) -> None:
        """Correct a part by a difference."""
        ...


class PeriodSum:
    """A day's or a month's sum."""

    __slots__ = ("_used",)

    def __init__(self) -> None:
        """Start with nothing taken."""
        self._used = Decimal(0)

    def used(self, now_ms: int) -> Decimal:
        """See `Counting.used`."""
        return self._used

    def frees_in_ms(self, now_ms: int) -> int:
        """The calendar says when."""
        return 0

    def fits_in_ms(self, wanted: Decimal, amount: Decimal, now_ms: int) -> int | None:
        """The calendar says when."""
        return None

    def take(self, amount: Decimal, at_ms: int, now_ms: int) -> int:
        """See `Counting.take`."""
        self._used += amount
        return 0

    def move(self, part: int, delta: Decimal, now_ms: int) -> None:
        """See `Counting.move`."""
        self._used = max(self._used + delta, Decimal(0))


class UnderWay:
    """Calls and the ends of their leases: one whose lease has ended frees its place.

    Calls come and go by `enter` and `leave`, because each has a name.
    """

    __slots__ = ("_ends_ms",)

    def __init__(self) -> None:
        """Start with no call."""
        self._ends_ms: dict[str, int] = {}

    def used(self, now_ms: int) -> Decimal:
        """See `Counting.used`."""
        return Decimal(sum(end_ms > now_ms for end_ms in self._ends_ms.values()))

    def frees_in_ms(self, now_ms: int) -> int:
        """See `Counting.frees_in_ms`."""
        living = (end_ms - now_ms for end_ms in self._ends_ms.values() if end_ms > now_ms)
        return min(living, default=0)

    def fits_in_ms(self, wanted: Decimal, amount: Decimal, now_ms: int) -> int | None:
        """A guess: some call is over before its lease."""
        return min(int(RETRY_UNDER_WAY_S * 1000), self.frees_in_ms(now_ms))

    def take(self, amount: Decimal, at_ms: int, now_ms: int) -> int:
        """Drops what has ended; `enter` adds."""
        for name in [name for name, end_ms in self._ends_ms.items() if end_ms <= now_ms]:
            del self._ends_ms[name]
        return 0

    def move(self, part: int, delta: Decimal, now_ms: int) -> None:
        """A call under way counts one, whatever it takes."""

    def enter(self, decision_id: str, ends_ms: int) -> None:
        """A call begins, or its lease ends later."""
        self._ends_ms[decision_id] = ends_ms

    def leave(self, decision_id: str) -> None:
        """A call is over."""
        self._ends_ms.pop(decision_id, None)


def counting(counter: Counter) -> Counting:
    """An empty one of the right kind."""
    if counter.buckets:
        return Window(counter.buckets)
    return PeriodSum() if counter.span else UnderWay()
