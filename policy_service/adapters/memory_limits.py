"""The `LimitsStore` port in one process's memory: for a laptop, for tests, for one process.

No method waits between looking and changing, so each is one step for every task of the event loop.
What it holds is lost with the process.
"""

import heapq
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import msgspec

from llm_core.policy.decision import Reservation
from llm_core.policy.limits import Amounts, Limit, LimitState
from policy_service.adapters.counters import (
    Counter,
    Kind,
    binding,
    correctable,
    counter_of,
    nodes_of,
    primable,
    retry_after_s,
    taken,
    to_prime,
)
from policy_service.adapters.memory_counters import Counting, UnderWay, counting
from policy_service.adapters.memory_reservations import Held, Reservations, Stage
from policy_service.adapters.memory_rows import MemoryRows
from policy_service.adapters.windows import MINUTE, epoch_ms
from policy_service.ports.limits import (
    Backlog,
    Comparison,
    QueuedRow,
    Refused,
    Reserved,
    SettleOutcome,
    Spent,
    Unprimed,
    Unwritten,
)

HOUR_S = 3_600
DAY_S = 86_400


@dataclass(slots=True)
class _Kept:
    """A counter, and until when it is kept; `None` as long as anything counts in it."""

    counting: Counting
    until_ms: int | None = None


class MemoryLimitsStore:
    """Limits that hold within one process and one event loop.

    Args:
        redelivery_s: After how long an unacknowledged usage row is given out again.
        remembered_s: How long a settled reservation is remembered once its row is in the ledger.
        estimate_remembered_s: How long the true figure may still replace an estimate.
    """

    def __init__(
        self,
        *,
        redelivery_s: float = 30.0,
        remembered_s: float = HOUR_S,
        estimate_remembered_s: float = DAY_S,
    ) -> None:
        self._counters: dict[str, _Kept] = {}
        self._swept_ms = 0
        self._rows = MemoryRows(redelivery_s)
        self._reservations = Reservations(
            remembered_s=remembered_s, estimate_remembered_s=estimate_remembered_s
        )

    async def states(self, limits: Sequence[Limit], now: datetime) -> tuple[LimitState, ...]:
        """See `LimitsStore.states`; a counter that is named twice stands there once."""
        return self._states([counter_of(limit, now) for limit in binding(limits)], now)

    async def reserve(
        self, reservation: Reservation, amounts: Amounts, now: datetime
    ) -> Reserved | Refused | Unprimed:
        """See `LimitsStore.reserve`.

        The same reservation once more takes nothing more: it is a retry after a lost answer. What
        was decided earlier counts from then on, as in the ledger.

        Raises:
            ValueError: The decision id is taken by another reservation, or an amount is negative.
        """
        self._sweep(epoch_ms(now))
        decided_at = min(reservation.decided_at, now)
        counters = [
            counter_of(limit, now, decided_at) for limit in binding(reservation.caller.limits)
        ]
        wanted = taken(amounts)
        body = msgspec.json.encode(reservation)
        known = self._reservations.get(reservation.decision_id)
        if known and (known.stage is not Stage.OPEN or known.body != body):
            raise ValueError(f"the decision id {reservation.decision_id!r} was used before")
        unprimed = [
            counter.limit
            for counter in counters
            if counter.needs_priming and counter.name not in self._counters
        ]
        if unprimed:
            return Unprimed(tuple(unprimed))
        if known is None:
            for counter in counters:
                if self._would_exceed(counter, wanted, now):
                    return self._refused(counter, wanted, now, self._states(counters, now))
            held = Held(
                reservation.decision_id,
                body,
                reservation.expires_at,
                epoch_ms(decided_at),
                nodes_of(reservation.caller, reservation.approval),
                reservation.call.asked_model,
                wanted,
            )
            self._take(held, counters, now)
        return Reserved(self._states(counters, now))

    async def unwritten(self, *, is_urgent: bool = False) -> Unwritten:
        """See `LimitsStore.unwritten`; one process moves rows too seldom to be held up."""
        return Unwritten(self._reservations.mark, frozenset(self._reservations.unwritten))

    async def prime(self, limit: Limit, spent: Sequence[Spent], mark: int, now: datetime) -> bool:
        """See `LimitsStore.prime`.

        Raises:
            ValueError: The limit's period is not from the ledger, its models are missing, or
                something spent is negative.
        """
        counter = to_prime(limit, now)
        if counter.name in self._counters:
            return True
        if mark != self._reservations.mark:
            return False
        now_ms = epoch_ms(now)
        made = counting(counter)
        for part, amount in self._parts(counter, spent, now_ms).items():
            made.move(part, amount, now_ms)
        self._counters[counter.name] = _Kept(made, now_ms + counter.kept_ms(now))
        for held in self._reservations.unwritten.values():
            place = counter.part_of(held.at_ms, now_ms)
            # Settling moves what a reservation knows of.
            if place is not None and held.belongs_to(limit):
                held.charges.setdefault(counter.name, (counter, place))
        return True

    async def compare(
        self, limit: Limit, spent: Sequence[Spent], mark: int, now: datetime
    ) -> Comparison | None:
        """See `LimitsStore.compare`; raises as `prime` does."""
        counter = primable(limit, now)
        if mark != self._reservations.mark:
            return None
        now_ms = epoch_ms(now)
        would_be = counting(counter)
        for part, amount in self._parts(counter, spent, now_ms).items():
            would_be.move(part, amount, now_ms)
        kept = self._counters.get(counter.name)
        counted = kept.counting.used(now_ms) if kept else None
        return Comparison(limit, counted, would_be.used(now_ms))

    async def rebuild(self) -> int:
        """See `LimitsStore.rebuild`."""
        primed = [name for name, kept in self._counters.items() if kept.until_ms is not None]
        for name in primed:
            del self._counters[name]
        return len(primed)

    async def redeem(
        self, decision_id: str, now: datetime, *, is_late: bool = False
    ) -> Reservation | None:
        """See `LimitsStore.redeem`."""
        held = self._reservations.get(decision_id)
        if held is None or held.is_redeemed or held.stage is Stage.SETTLED:
            return None
        has_ended = held.stage is not Stage.OPEN or held.expires_ms <= epoch_ms(now)
        if has_ended and not is_late:
            return None
        held.is_redeemed = True
        return held.reservation

    async def find(self, decision_id: str) -> Reservation | None:
        """See `LimitsStore.find`."""
        held = self._reservations.get(decision_id)
        return held.reservation if held else None

    async def extend(self, decision_id: str, expires_at: datetime) -> None:
        """See `LimitsStore.extend`."""
        held = self._reservations.open.get(decision_id)
        if held is not None:
            held.expires_at = expires_at
            self._enter(held)

    async def settle(
        self, decision_id: str, actual: Amounts, row: bytes, now: datetime
    ) -> SettleOutcome:
        """See `LimitsStore.settle`."""
        true_figure, now_ms = taken(actual), epoch_ms(now)
        held = self._reservations.get(decision_id)
        if held is None:
            return SettleOutcome.UNKNOWN
        if held.stage is Stage.SETTLED:
            return SettleOutcome.ALREADY_SETTLED
        for counter, part in held.charges.values():
            quantity = counter.limit.measure.quantity
            delta = true_figure.of(quantity) - held.figure.of(quantity)
            # What was made from the ledger and is gone stays gone: the next call finds it unprimed.
            if counter.name in self._counters or not counter.limit.measure.period.is_from_ledger:
                self._kept(counter).counting.move(part, delta, now_ms)
        held.figure = true_figure
        self._end(held, Stage.SETTLED, row, now_ms)
        return SettleOutcome.SETTLED

    async def backlog(self) -> Backlog:
        """See `LimitsStore.backlog`."""
        return Backlog(len(self._reservations.open), len(self._rows), self._rows.oldest_at)

    async def overdue(self, now: datetime, most: int) -> tuple[Reservation, ...]:
        """See `LimitsStore.overdue`."""
        now_ms = epoch_ms(now)
        self._sweep(now_ms)
        open_ones = self._reservations.open
        ends = ((held.expires_ms, decision_id) for decision_id, held in open_ones.items())
        late = heapq.nsmallest(most, (end for end in ends if end[0] <= now_ms))
        return tuple(open_ones[decision_id].reservation for _, decision_id in late)

    async def expire(self, decision_id: str, row: bytes, now: datetime) -> bool:
        """See `LimitsStore.expire`."""
        held = self._reservations.open.get(decision_id)
        if held is None or held.expires_ms > epoch_ms(now):
            return False
        self._end(held, Stage.EXPIRED, row, epoch_ms(now))
        return True

    async def take_rows(self, most: int, wait_s: float) -> tuple[QueuedRow, ...]:
        """See `LimitsStore.take_rows`."""
        rows = await self._rows.take(most, wait_s)
        if rows:
            self._reservations.mark += 1
        return rows

    async def acknowledge(self, rows: Sequence[QueuedRow]) -> bool:
        """See `LimitsStore.acknowledge`."""
        known = self._rows.strike_off(rows)
        for row in known:
            self._reservations.written(row.decision_id)
        self._reservations.mark += bool(rows)
        struck_off = {row.token for row in known}
        return all(
            row.token in struck_off or self._reservations.is_written(row.decision_id)
            for row in rows
        )

    async def incarnation(self) -> str:
        """It has one life, as long as the process."""
        return ""

    async def ready(self) -> bool:
        """Always."""
        return True

    async def close(self) -> None:
        """Nothing to let go of."""

    def _states(self, counters: Sequence[Counter], now: datetime) -> tuple[LimitState, ...]:
        return tuple(self._state(counter, now) for counter in counters)

    def _state(self, counter: Counter, now: datetime) -> LimitState:
        counted, now_ms = self._counting(counter), epoch_ms(now)
        is_period = counter.kind is Kind.PERIOD
        reset_s = counter.ends_in_s(now) if is_period else counted.frees_in_ms(now_ms) / 1000
        return LimitState(counter.limit, counted.used(now_ms), reset_s)

    def _counting(self, counter: Counter) -> Counting:
        kept = self._counters.get(counter.name)
        return kept.counting if kept else counting(counter)

    def _kept(self, counter: Counter) -> _Kept:
        kept = self._counters.get(counter.name)
        if kept is None:
            kept = self._counters[counter.name] = _Kept(counting(counter))
        return kept

    def _would_exceed(self, counter: Counter, wanted: Amounts, now: datetime) -> bool:
        more = wanted.of(counter.limit.measure.quantity)
        # Taking nothing exceeds nothing: a free model stays usable when the money is gone.
        if more == 0 or counter.kind is Kind.PAST:
            return False
        return self._counting(counter).used(epoch_ms(now)) + more > counter.amount

    def _refused(
        self, counter: Counter, wanted: Amounts, now: datetime, states: tuple[LimitState, ...]
    ) -> Refused:
        more = wanted.of(counter.limit.measure.quantity)
        fits_in_ms = self._counting(counter).fits_in_ms(more, counter.amount, epoch_ms(now))
        return Refused(counter.limit, retry_after_s(counter, wanted, fits_in_ms, now), states)

    def _take(self, held: Held, counters: Sequence[Counter], now: datetime) -> None:
        now_ms = epoch_ms(now)
        for counter in counters:
            if counter.kind is Kind.PAST and counter.name not in self._counters:
                continue
            kept = self._kept(counter)
            more = held.figure.of(counter.limit.measure.quantity)
            part = kept.counting.take(more, held.at_ms, now_ms)
            if kept.until_ms is not None:
                kept.until_ms = max(kept.until_ms, now_ms + counter.kept_ms(now))
            if counter.kind is Kind.UNDER_WAY:
                held.places.append(counter.name)
            elif correctable(counter.limit.measure):
                held.charges[counter.name] = (counter, part)
        self._enter(held)
        self._reservations.add(held)
        # A call that is taken up again may have been in the ledger when somebody read it.
        self._reservations.mark += held.at_ms != now_ms

    def _parts(self, counter: Counter, spent: Sequence[Spent], now_ms: int) -> dict[int, Decimal]:
        """What the ledger had, and what it did not have."""
        parts: defaultdict[int, Decimal] = defaultdict(Decimal)
        for part, amount in counter.parts(spent):
            parts[part] += amount
        for held in self._reservations.unwritten.values():
            place = counter.part_of(held.at_ms, now_ms)
            if place is None:
                continue
            if counter.name in held.charges or held.belongs_to(counter.limit):
                parts[place] += held.figure.of(counter.limit.measure.quantity)
        return parts

    def _enter(self, held: Held) -> None:
        """Among the calls under way, until the end of its lease."""
        for name in held.places:
            place = self._counters.setdefault(name, _Kept(UnderWay())).counting
            if isinstance(place, UnderWay):
                place.enter(held.decision_id, held.expires_ms)

    def _end(self, held: Held, stage: Stage, row: bytes, now_ms: int) -> None:
        for name in held.places:
            place = self._counters.get(name)
            if place and isinstance(place.counting, UnderWay):
                place.counting.leave(held.decision_id)
        self._reservations.end(held, stage, now_ms)
        self._rows.put(held.decision_id, row)

    def _sweep(self, now_ms: int) -> None:
        """Keep memory bounded: by what has ended, and by counters in which nothing counts."""
        self._reservations.forget(now_ms)
        if now_ms < self._swept_ms + MINUTE.window_ms:
            return
        self._swept_ms = now_ms
        for name, kept in list(self._counters.items()):
            if kept.until_ms is None:
                is_over = not kept.counting.used(now_ms)
            else:
                is_over = kept.until_ms <= now_ms
            if is_over:
                del self._counters[name]
