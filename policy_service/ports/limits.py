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
    """Everything fitted and is reserved; the states count this call as used."""

    states: tuple[LimitState, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was reserved.

    Args:
        exceeded: The first limit that would have been passed, in the order given.
        retry_after_s: Seconds until the same call fits; `None` when it never will (it is larger
            than the limit itself, or the limit is money).
        states: Where all limits stand, without this call.
    """

    exceeded: Limit
    retry_after_s: float | None
    states: tuple[LimitState, ...]


@dataclass(frozen=True, slots=True)
class Unprimed:
    """Nothing was reserved: these money limits have no counter in the store for this month.

    That is so on the first call of a month, on a new limit, and after the store lost its data. The
    service sums the ledger, calls `prime`, and asks again.
    """

    limits: tuple[Limit, ...]


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
        token: What `acknowledge` takes.
        row: The JSON text given to `settle`.
    """

    token: str
    row: bytes


class LimitsStore(Protocol):
    """Counters, reservations and the queue of usage rows.

    Every method is one atomic step, whatever the number of processes. Amounts are exact: money is
    kept to the pico-dollar, never as a float. Windows per minute slide: at no moment do more than
    the limit's amount lie in the last 60 s. `usd_per_month` is a calendar month, UTC.

    A reservation is a lease. Its life is `open` -> `settled`, or `open` -> `expired` (its reserved
    amounts stand as charged) -> `settled` (the true figure replaces the estimate). Settling twice
    changes nothing the second time. Every method raises `PolicyUnavailable` when the store is gone.
    """

    async def states(self, limits: Sequence[Limit], now: datetime) -> tuple[LimitState, ...]:
        """Where the limits stand; a money limit without a counter yet reads as nothing used."""
        ...

    async def reserve(
        self, reservation: Reservation, amounts: Amounts, now: datetime
    ) -> Reserved | Refused | Unprimed:
        """Check every limit of `reservation.caller` and take `amounts` from all, or from none."""
        ...

    async def prime(self, limit: Limit, used: Decimal, now: datetime) -> None:
        """Give a money limit its counter for this month, unless it has one by now."""
        ...

    async def redeem(self, decision_id: str, now: datetime) -> Reservation | None:
        """Hand the reservation to the relay, once.

        `None` the second time, when it is no longer open, or when there is none.
        """
        ...

    async def find(self, decision_id: str) -> Reservation | None:
        """The reservation in whatever state, as long as it is remembered (a day past its end)."""
        ...

    async def extend(self, decision_id: str, expires_at: datetime) -> None:
        """Move an open lease's end; a no-op when it is no longer open."""
        ...

    async def settle(
        self, decision_id: str, actual: Amounts, row: bytes, now: datetime
    ) -> SettleOutcome:
        """Move the reservation to the true figure and queue `row`, in one step, once."""
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

    async def acknowledge(self, tokens: Sequence[str]) -> None:
        """These rows are in the ledger."""
        ...

    async def ready(self) -> bool:
        """Whether the store answers."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
