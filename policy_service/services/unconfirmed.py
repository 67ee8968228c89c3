"""What this process has booked and the ledger may not have yet, and what it could not book.

A booked call's row lies in the store's queue. Should the store lose its data before the row is in
the ledger, what is remembered here is booked again; see `services/keeper.py`.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import msgspec

from llm_core.policy.decision import Reservation, UsageReport

_log = logging.getLogger(__name__)
_MOST_BYTES = 64 * 1024 * 1024
_ENTRY_BYTES = 300
"""About what an entry takes beside its text."""

_TELL_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class Booking:
    """A call and what is to be said of it."""

    reservation: Reservation
    report: UsageReport


@dataclass(slots=True)
class _Entry:
    """JSON, because many thousand objects would keep the garbage collector busy."""

    text: bytes
    since_s: float
    is_taken_up: bool = False
    wait_s: float = 0.0

    @property
    def held_bytes(self) -> int:
        return len(self.text) + _ENTRY_BYTES

    def read(self) -> Booking:
        return msgspec.json.decode(self.text, type=Booking)


class Unconfirmed:
    """Remembers bookings by decision id, bounded in bytes: the oldest make room.

    Those that are booked make room first: they still lie in the store's queue. Whatever goes is
    told in the log.

    Args:
        most_bytes: What all of it may take.
        now_s: A clock that only goes forward.
    """

    def __init__(
        self, most_bytes: int = _MOST_BYTES, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._most_bytes = most_bytes
        self._now_s = now_s
        self._owed: OrderedDict[str, _Entry] = OrderedDict()
        self._booked: OrderedDict[str, _Entry] = OrderedDict()
        self._held_bytes = 0
        self._untold = 0
        self._told_at_s = float("-inf")

    @property
    def owed_count(self) -> int:
        """How many could not be booked yet."""
        return len(self._owed)

    @property
    def booked_count(self) -> int:
        """How many are booked, and not known to be in the ledger."""
        return len(self._booked)

    def owes(self, reservation: Reservation, report: UsageReport) -> None:
        """Remember what could not be booked; what is remembered of this call already stays."""
        decision_id = reservation.decision_id
        if decision_id not in self._owed and decision_id not in self._booked:
            self._put(self._owed, decision_id, self._entry(reservation, report))

    def booked(
        self, reservation: Reservation, report: UsageReport, *, is_taken_up: bool = False
    ) -> None:
        """Remember what was booked, until the ledger has it.

        Args:
            reservation: The call.
            report: As it was booked.
            is_taken_up: The store had forgotten the call, so its counters may hold it twice.
        """
        before = self._taken(reservation.decision_id)
        entry = self._entry(reservation, report)
        if before is not None:
            entry.wait_s = before.wait_s
            is_taken_up = is_taken_up or before.is_taken_up
        entry.is_taken_up = is_taken_up
        self._put(self._booked, reservation.decision_id, entry)

    def owed(self, most: int) -> tuple[Booking, ...]:
        """The oldest of what could not be booked."""
        return tuple(entry.read() for entry in islice(self._owed.values(), most))

    def unseen(self, older_than_s: float, most: int) -> tuple[str, ...]:
        """Decision ids of the oldest that were booked so long ago."""
        before_s = self._now_s() - older_than_s
        late = (one for one, entry in self._booked.items() if entry.since_s <= before_s)
        return tuple(islice(late, most))

    def missing(
        self, decision_ids: Iterable[str], wait_s: float, longest_s: float
    ) -> Iterator[Booking]:
        """Those of these that are to be booked again by now; each time it takes twice as long."""
        now_s = self._now_s()
        for decision_id in decision_ids:
            entry = self._booked.get(decision_id)
            if entry is not None and entry.since_s + max(entry.wait_s, wait_s) <= now_s:
                entry.wait_s = min(2 * max(entry.wait_s, wait_s), longest_s)
                entry.since_s = now_s
                yield entry.read()

    def confirmed(self, decision_ids: Iterable[str]) -> bool:
        """The ledger has these: forget them.

        Returns:
            Whether the store had forgotten one of them in between.
        """
        entries = [self._taken(decision_id) for decision_id in decision_ids]
        return any(entry.is_taken_up for entry in entries if entry is not None)

    def settled_elsewhere(self, decision_id: str) -> None:
        """Another booking of this call counts: what remains is to see it in the ledger."""
        entry = self._taken(decision_id)
        if entry is not None:
            entry.since_s = self._now_s()
            self._put(self._booked, decision_id, entry)

    def _entry(self, reservation: Reservation, report: UsageReport) -> _Entry:
        booking = Booking(reservation, replace(report, reservation=None))
        return _Entry(msgspec.json.encode(booking), self._now_s())

    def _put(self, entries: "OrderedDict[str, _Entry]", decision_id: str, entry: _Entry) -> None:
        entries[decision_id] = entry
        self._held_bytes += entry.held_bytes
        while self._held_bytes > self._most_bytes and len(self._owed) + len(self._booked) > 1:
            self._make_room()

    def _make_room(self) -> None:
        if self._booked:
            decision_id, _ = next(iter(self._booked.items()))
            self._taken(decision_id)
            self._untold += 1
            if self._now_s() >= self._told_at_s + _TELL_EVERY_S:
                _log.warning(
                    "the ledger is far behind: %d booked calls are no longer watched, the last "
                    "of them %s; their rows wait in the store's queue",
                    self._untold,
                    decision_id,
                )
                self._untold, self._told_at_s = 0, self._now_s()
            return
        decision_id, entry = next(iter(self._owed.items()))
        self._taken(decision_id)
        report = entry.read().report
        _log.error(
            "no room to remember %s, which could not be booked: %s, %s; its lease charges the "
            "estimate",
            decision_id,
            report.error_class,
            report.usage,
        )

    def _taken(self, decision_id: str) -> _Entry | None:
        entry = self._owed.pop(decision_id, None) or self._booked.pop(decision_id, None)
        if entry is not None:
            self._held_bytes -= entry.held_bytes
        return entry
