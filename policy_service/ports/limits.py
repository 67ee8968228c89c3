"""Counters, reservations, and the queue of usage rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from llm_core.policy.decision import Reservation
from llm_core.policy.limits import Amounts, Limit, LimitState


@dataclass(frozen=True, slots=True)
class Reserved:
    """Everything fitted and is reserved; the states count this call as used.

    Args:
        states: Where all limits stand.
        is_degraded: By this process alone, from its share; the limits in `states` are that share.
    """

    states: tuple[LimitState, ...]
    is_degraded: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was reserved.

    Args:
        exceeded: The first limit that would have been passed, in the order given.
        retry_after_s: Seconds until the same call fits; `None` when it never will (it is larger
            than the limit itself, or the limit is money).
        states: Where all limits stand, without this call.
        is_degraded: As in `Reserved`.
    """

    exceeded: Limit
    retry_after_s: float | None
    states: tuple[LimitState, ...]
    is_degraded: bool = False


@dataclass(frozen=True, slots=True)
class Unprimed:
    """Nothing was reserved: these limits have no counter in the store for this period.

    That is so for limits whose period `is_from_ledger`: on the first call of a period, on a new
    limit, after `rebuild`, and after the store lost its data. The service asks what is `unwritten`,
    sums the ledger without that, calls `prime`, and asks again.
    """

    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True)
class Unwritten:
    """Calls that the store knows and the ledger may not have yet.

    Args:
        mark: Changes whenever rows are given out to be written, or were acknowledged.
        decision_ids: Reservations that are open, those whose rows are not acknowledged yet, and
            estimates that may still be corrected, written or not.
    """

    mark: int
    decision_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Spent:
    """What the ledger has for a limit.

    Args:
        at: When, UTC: the start of the period, or of a bucket of a sliding one
            (`policy_service.periods.SLIDING`).
        amount: In the limit's own unit.
    """

    at: datetime
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Comparison:
    """A limit's counter beside what it should say.

    Args:
        counted: What the counter says; `None` when there is none, which is no fault.
        expected: What the ledger has, and what is not written yet.
    """

    limit: Limit
    counted: Decimal | None
    expected: Decimal

    @property
    def drift(self) -> Decimal:
        """How much too high the counter stands."""
        return Decimal(0) if self.counted is None else self.counted - self.expected


class SettleOutcome(StrEnum):
    """What settling did."""

    SETTLED = "settled"
    """It was open, or had expired on an estimate, and now stands at the true figure."""
    ALREADY_SETTLED = "already_settled"
    UNKNOWN = "unknown"
    """No such reservation: never made, or forgotten long after it ended."""


@dataclass(frozen=True, slots=True)
class QueuedRow:
    """A usage row on its way to the ledger.

    Args:
        token: Names it in the queue.
        decision_id: Whose it is.
        row: The JSON text given to `settle`.
    """

    token: str
    decision_id: str
    row: bytes


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is under way.

    Args:
        open_reservations: Decided, and not settled or ended.
        rows: Queued, and not acknowledged.
        oldest_row_at: When the oldest of these was queued; `None` when there is none.
    """

    open_reservations: int
    rows: int
    oldest_row_at: datetime | None = None


class LimitsStore(Protocol):
    """Counters, reservations and the queue of usage rows.

    Every method is one atomic step, whatever the number of processes. Amounts are exact: money is
    kept to the pico-dollar, never as a float. Sliding windows have no edge: at no moment do more
    than the limit's amount lie in the last minute, 24 hours or 30 days. Calendar periods belong to
    the limit's time zone. A call is under way from its reservation until it is settled or expired,
    or until the end of its lease.

    `Limit.amount` is taken as it is: raises and shares are worked in before (`in_force`).

    A reservation is a lease. Its life is `open` -> `settled`, or `open` -> `expired` (its reserved
    amounts stand as charged) -> `settled` (the true figure replaces the estimate). Settling twice
    changes nothing the second time. Every method raises `PolicyUnavailable` when the store is gone.
    """

    async def states(self, limits: Sequence[Limit], now: datetime) -> tuple[LimitState, ...]:
        """Where the limits stand; one without a counter yet reads as nothing used."""
        ...

    async def reserve(
        self, reservation: Reservation, amounts: Amounts, now: datetime
    ) -> Reserved | Refused | Unprimed:
        """Check every limit of `reservation.caller` and take `amounts` from all, or from none."""
        ...

    async def unwritten(self, *, is_urgent: bool = False) -> Unwritten:
        """What the ledger may not have yet, and a mark that tells whether that changed.

        Args:
            is_urgent: Rows keep moving, so that the mark has changed again and again: give none out
                for a moment, if that was not done lately.
        """
        ...

    async def prime(self, limit: Limit, spent: Sequence[Spent], mark: int, now: datetime) -> bool:
        """Give a limit its counter for this period, unless it has one by now.

        The counter becomes what the ledger had (`spent`, summed without what was `unwritten`) plus
        what this store knows of that the ledger did not.

        Args:
            limit: Its period `is_from_ledger`.
            spent: From the ledger.
            mark: Of `unwritten`, asked before the ledger was.
            now: Chooses the period.

        Returns:
            False when there is none and the mark has changed, so that `spent` cannot be trusted:
            ask again.
        """
        ...

    async def compare(
        self, limit: Limit, spent: Sequence[Spent], mark: int, now: datetime
    ) -> Comparison | None:
        """As `prime`, but change nothing and say what stands; `None` when the mark has changed."""
        ...

    async def rebuild(self) -> int:
        """Drop every counter that can be made from the ledger; the next calls prime them anew.

        Exact at any time, also while calls are under way.

        Returns:
            How many were dropped.
        """
        ...

    async def redeem(
        self, decision_id: str, now: datetime, *, is_late: bool = False
    ) -> Reservation | None:
        """Hand the reservation to the relay, once.

        `None` the second time, when it is no longer open, or when there is none.

        Args:
            decision_id: Whose.
            now: Tells whether its lease has ended.
            is_late: Also when its lease has ended or it has expired, but never once it is settled:
                for a report that says that nobody was reached, which no relay can then contradict.
        """
        ...

    async def find(self, decision_id: str) -> Reservation | None:
        """The reservation in whatever state, as long as it is remembered.

        That is an hour from when its row is in the ledger; an estimate is remembered for a day,
        because its true figure may come late.
        """
        ...

    async def extend(self, decision_id: str, expires_at: datetime) -> None:
        """Move an open lease's end; a no-op when it is no longer open."""
        ...

    async def settle(
        self, decision_id: str, actual: Amounts, row: bytes, now: datetime
    ) -> SettleOutcome:
        """Move the reservation to the true figure and queue `row`, in one step, once."""
        ...

    async def backlog(self) -> Backlog:
        """How much is under way, in all processes."""
        ...

    async def overdue(self, now: datetime, most: int) -> tuple[Reservation, ...]:
        """Open reservations whose lease has ended."""
        ...

    async def expire(self, decision_id: str, row: bytes, now: datetime) -> bool:
        """End an overdue lease: the reserved amounts stand, `row` is queued.

        False when it was settled, extended or expired meanwhile.
        """
        ...

    async def take_rows(self, most: int, wait_s: float) -> tuple[QueuedRow, ...]:
        """Wait up to `wait_s` for rows.

        A row comes again, here or to another process, until it is acknowledged: one that was taken
        and never acknowledged comes after 30 s.
        """
        ...

    async def acknowledge(self, rows: Sequence[QueuedRow]) -> bool:
        """These rows are in the ledger.

        Returns:
            False when the store did not know of all of them any more: it may have lost its data
            meanwhile. Counters that were primed in between may lack them; `rebuild` sets that
            right. Rows of a call whose rows are all acknowledged are known, also a second time: an
            answer can be lost, and another process can have written them too.
        """
        ...

    async def incarnation(self) -> str:
        """Names the life that the store is in; another name may mean that it went back in time.

        A store that came back from a snapshot, or from a copy that lagged behind, has counters
        that are too low, and nobody else can tell.
        """
        ...

    async def ready(self) -> bool:
        """Whether the store answers."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
