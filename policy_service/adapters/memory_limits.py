"""The `LimitsStore` port in one process's memory: for a laptop, for tests, for one process.

No method waits between looking and changing, so each is one step for every task of the event loop.
What it holds is lost with the process.
"""

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import Enum, auto

import msgspec

from llm_core.policy.decision import Reservation
from llm_core.policy.limits import Amounts, Limit, LimitState, Measure
from policy_service.adapters.memory_rows import MemoryRows
from policy_service.adapters.pico_usd import limit_usd, taken_usd
from policy_service.adapters.windows import (
    WINDOW_MS,
    Window,
    binding,
    epoch_ms,
    limit_count,
    month_of,
    seconds_to_next_month,
    taken_count,
)
from policy_service.ports.limits import QueuedRow, Refused, Reserved, SettleOutcome, Unprimed

_DAY_MS = 86_400_000
_MONTH_KEPT_MS = 70 * _DAY_MS


class _Stage(Enum):
    OPEN = auto()
    EXPIRED = auto()
    SETTLED = auto()


@dataclass(slots=True)
class _Held:
    """A reservation, what it took and where, and the end of its lease.

    Args:
        body: JSON, because a day's reservations as objects would keep the garbage collector busy.
    """

    decision_id: str
    body: bytes
    expires_at: datetime
    tokens: int
    usd: Decimal
    stage: _Stage = _Stage.OPEN
    is_redeemed: bool = False
    token_buckets: list[tuple[str, int]] = field(default_factory=list)
    months: list[tuple[str, str]] = field(default_factory=list)
    ended_ms: int = 0

    @property
    def expires_ms(self) -> int:
        return epoch_ms(self.expires_at)

    @property
    def reservation(self) -> Reservation:
        given = msgspec.json.decode(self.body, type=Reservation)
        return replace(given, expires_at=self.expires_at)


@dataclass(slots=True)
class _Month:
    used: Decimal
    primed_ms: int


class MemoryLimitsStore:
    """Limits that hold within one process and one event loop.

    Args:
        redelivery_s: After how long an unacknowledged usage row is given out again.
    """

    def __init__(self, *, redelivery_s: float = 30.0) -> None:
        self._windows: dict[str, Window] = {}
        self._months: dict[tuple[str, str], _Month] = {}
        self._held: dict[str, _Held] = {}
        self._open: dict[str, _Held] = {}
        self._ended: deque[tuple[int, str]] = deque()
        self._swept_ms = 0
        self._rows = MemoryRows(redelivery_s)

    async def states(self, limits: Sequence[Limit], now: datetime) -> tuple[LimitState, ...]:
        """See `LimitsStore.states`; a counter that is named twice stands there once."""
        return self._states(binding(limits), now)

    async def reserve(
        self, reservation: Reservation, amounts: Amounts, now: datetime
    ) -> Reserved | Refused | Unprimed:
        """See `LimitsStore.reserve`.

        The same reservation once more takes nothing more: it is a retry after a lost answer.

        Raises:
            ValueError: The decision id is taken by another reservation, or an amount is negative.
        """
        self._forget(epoch_ms(now))
        limits = binding(reservation.caller.limits)
        wanted = Amounts(
            requests=taken_count(amounts.requests),
            tokens=taken_count(amounts.tokens),
            usd=taken_usd(amounts.usd),
        )
        body = msgspec.json.encode(reservation)
        known = self._held.get(reservation.decision_id)
        if known and (known.stage is not _Stage.OPEN or known.body != body):
            raise ValueError(f"the decision id {reservation.decision_id!r} was used before")
        month = month_of(now)
        unprimed = tuple(
            limit
            for limit in limits
            if limit.measure.is_money and (month, limit.key) not in self._months
        )
        if unprimed:
            return Unprimed(unprimed)
        if known is None:
            for limit in limits:
                if self._would_exceed(limit, wanted, now):
                    return Refused(
                        exceeded=limit,
                        retry_after_s=self._retry_after_s(limit, wanted, now),
                        states=self._states(limits, now),
                    )
            held = _Held(
                reservation.decision_id, body, reservation.expires_at, wanted.tokens, wanted.usd
            )
            self._take(held, limits, wanted, now)
        return Reserved(self._states(limits, now))

    async def prime(self, limit: Limit, used: Decimal, now: datetime) -> None:
        """See `LimitsStore.prime`.

        Raises:
            ValueError: The limit is not money, or `used` is negative.
        """
        if not limit.measure.is_money:
            raise ValueError(f"{limit.key} counts no money and needs no priming")
        month = _Month(taken_usd(used), epoch_ms(now))
        self._months.setdefault((month_of(now), limit.key), month)

    async def redeem(self, decision_id: str, now: datetime) -> Reservation | None:
        """See `LimitsStore.redeem`."""
        held = self._open.get(decision_id)
        if held is None or held.is_redeemed or held.expires_ms <= epoch_ms(now):
            return None
        held.is_redeemed = True
        return held.reservation

    async def find(self, decision_id: str) -> Reservation | None:
        """See `LimitsStore.find`."""
        held = self._held.get(decision_id)
        return held.reservation if held else None

    async def extend(self, decision_id: str, expires_at: datetime) -> None:
        """See `LimitsStore.extend`."""
        held = self._open.get(decision_id)
        if held is not None:
            held.expires_at = expires_at

    async def settle(
        self, decision_id: str, actual: Amounts, row: bytes, now: datetime
    ) -> SettleOutcome:
        """See `LimitsStore.settle`."""
        self._forget(epoch_ms(now))
        tokens, usd = taken_count(actual.tokens), taken_usd(actual.usd)
        held = self._held.get(decision_id)
        if held is None:
            return SettleOutcome.UNKNOWN
        if held.stage is _Stage.SETTLED:
            return SettleOutcome.ALREADY_SETTLED
        for key, bucket in held.token_buckets:
            self._windows.setdefault(key, Window()).correct(
                bucket, tokens - held.tokens, epoch_ms(now)
            )
        for month_key in held.months:
            if month_key in self._months:
                self._months[month_key].used += usd - held.usd
        self._end(held, _Stage.SETTLED, row, now)
        return SettleOutcome.SETTLED

    async def overdue(self, now: datetime, most: int) -> tuple[Reservation, ...]:
        """See `LimitsStore.overdue`."""
        ends = ((held.expires_ms, decision_id) for decision_id, held in self._open.items())
        late = heapq.nsmallest(most, (end for end in ends if end[0] <= epoch_ms(now)))
        return tuple(self._open[decision_id].reservation for _, decision_id in late)

    async def expire(self, decision_id: str, row: bytes, now: datetime) -> bool:
        """See `LimitsStore.expire`."""
        held = self._open.get(decision_id)
        if held is None or held.expires_ms > epoch_ms(now):
            return False
        self._end(held, _Stage.EXPIRED, row, now)
        return True

    async def take_rows(self, most: int, wait_s: float) -> tuple[QueuedRow, ...]:
        """See `LimitsStore.take_rows`."""
        return await self._rows.take(most, wait_s)

    async def acknowledge(self, tokens: Sequence[str]) -> None:
        """See `LimitsStore.acknowledge`."""
        self._rows.acknowledge(tokens)

    async def ready(self) -> bool:
        """Always."""
        return True

    async def close(self) -> None:
        """Nothing to let go of."""

    def _states(self, limits: tuple[Limit, ...], now: datetime) -> tuple[LimitState, ...]:
        return tuple(self._state(limit, now) for limit in limits)

    def _state(self, limit: Limit, now: datetime) -> LimitState:
        if limit.measure.is_money:
            month = self._months.get((month_of(now), limit.key))
            used = month.used if month else Decimal(0)
            return LimitState(limit, used, seconds_to_next_month(now))
        window = self._windows.get(limit.key)
        if window is None:
            return LimitState(limit, Decimal(0), 0.0)
        now_ms = epoch_ms(now)
        reset_s = window.oldest_leaves_in_ms(now_ms) / 1000
        return LimitState(limit, Decimal(window.used(now_ms)), reset_s)

    def _would_exceed(self, limit: Limit, wanted: Amounts, now: datetime) -> bool:
        more = wanted.of(limit.measure)
        if more == 0:  # taking nothing exceeds nothing: a free model stays usable
            return False
        cap = (
            limit_usd(limit.amount)
            if limit.measure.is_money
            else Decimal(limit_count(limit.amount))
        )
        return self._state(limit, now).used + more > cap

    def _retry_after_s(self, limit: Limit, wanted: Amounts, now: datetime) -> float | None:
        if limit.measure.is_money:
            return None
        count = int(wanted.of(limit.measure))
        window = self._windows.get(limit.key, Window())
        fits_in_ms = window.fits_in_ms(count, limit_count(limit.amount), epoch_ms(now))
        return None if fits_in_ms is None else fits_in_ms / 1000

    def _take(self, held: _Held, limits: tuple[Limit, ...], wanted: Amounts, now: datetime) -> None:
        for limit in limits:
            if limit.measure.is_money:
                month_key = (month_of(now), limit.key)
                self._months[month_key].used += wanted.usd
                held.months.append(month_key)
                continue
            count = int(wanted.of(limit.measure))
            window = self._windows.setdefault(limit.key, Window())
            bucket = window.take(count, epoch_ms(now))
            if limit.measure is Measure.TOKENS_PER_MINUTE:
                held.token_buckets.append((limit.key, bucket))
        self._held[held.decision_id] = self._open[held.decision_id] = held

    def _end(self, held: _Held, stage: _Stage, row: bytes, now: datetime) -> None:
        held.stage = stage
        held.ended_ms = epoch_ms(now)
        self._open.pop(held.decision_id, None)
        self._ended.append((held.ended_ms, held.decision_id))
        self._rows.put(row)

    def _forget(self, now_ms: int) -> None:
        """Keep memory bounded: ended reservations for a day, months for 70, windows in use."""
        while self._ended and self._ended[0][0] + _DAY_MS <= now_ms:
            ended_ms, decision_id = self._ended.popleft()
            held = self._held.get(decision_id)
            # One that expired first and was settled later stands here twice.
            if held is not None and held.ended_ms == ended_ms:
                del self._held[decision_id]
        if now_ms < self._swept_ms + WINDOW_MS:
            return
        self._swept_ms = now_ms
        for key, window in list(self._windows.items()):
            if not window.used(now_ms):
                del self._windows[key]
        for month_key, month in list(self._months.items()):
            if month.primed_ms + _MONTH_KEPT_MS <= now_ms:
                del self._months[month_key]
