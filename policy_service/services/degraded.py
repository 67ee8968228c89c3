"""Limits while the shared store cannot be asked: closed, or a share of what is left.

A call whose route says `degraded` is then admitted by this process alone. It may admit the route's
share of what is left of each limit: of the whole limit for what counts by the minute or under way,
and of what the ledger leaves for the rest. Where the ledger cannot be asked either, nothing is
admitted. What was admitted is booked in the shared store as soon as that is back.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from llm_core.answer_headers import DEGRADED
from llm_core.errors import PolicyUnavailable
from llm_core.policy.decision import Reservation
from llm_core.policy.limits import Amounts, Limit, LimitState
from llm_core.policy.route import WhenLimitsDown
from policy_service.periods import calendar_span
from policy_service.ports.clock import Clock
from policy_service.ports.ledger import Ledger
from policy_service.ports.limits import (
    Backlog,
    Comparison,
    LimitsStore,
    QueuedRow,
    Refused,
    Reserved,
    SettleOutcome,
    Spent,
    Unprimed,
    Unwritten,
)
from policy_service.services.background import for_ever
from policy_service.services.reserving import Reserving
from policy_service.services.settle import TAKEN_UP_LEASE, reserved_for

_log = logging.getLogger(__name__)
_LOOK_EVERY_S = 0.5
_FORGET_AFTER = timedelta(seconds=61)
"""Windows of a minute hold over outages that follow each other."""

_MOST_ROWS = 1000


@dataclass(slots=True)
class _Held:
    """A reservation that only this process knows."""

    reservation: Reservation
    is_redeemed: bool = False


class DegradableLimits:
    """The `LimitsStore` port: the shared store, and a local one while that cannot be asked.

    Only calls whose route says so are admitted locally; for everybody else an outage stays one.

    Args:
        shared: Of all processes.
        make_local: Makes a store for this process alone.
        ledger: Says what is left of a limit.
        clock: Says what time it is.
    """

    def __init__(
        self,
        shared: LimitsStore,
        make_local: Callable[[], LimitsStore],
        ledger: Ledger,
        clock: Clock,
    ) -> None:
        self._shared = shared
        self._make_local = make_local
        self._local = make_local()
        self._ledger = ledger
        self._clock = clock
        self._held: dict[str, _Held] = {}
        self._spent: dict[tuple[str, tuple[str, ...], str], Decimal] = {}
        self._summing = asyncio.Lock()
        self._away = asyncio.Event()
        self._back_at: datetime | None = None
        self.admitted = 0
        """How many calls this process has admitted alone since it started."""
        self._touched: dict[str, Limit] = {}

    @property
    def is_away(self) -> bool:
        """Whether the shared store could not be asked when it last was."""
        return self._away.is_set()

    @property
    def touched(self) -> tuple[Limit, ...]:
        """The limits from which calls were admitted alone in the last outage, or are now."""
        return tuple(self._touched.values())

    def was_back_for(self, span: timedelta) -> bool:
        """Whether the last outage has been over for so long."""
        if self.is_away:
            return False
        return self._back_at is not None and self._clock() >= self._back_at + span

    def forget_touched(self) -> None:
        """Nobody has to look at those limits any more."""
        self._touched.clear()

    async def run(self) -> None:
        """Look whether the shared store is back, until cancelled."""
        await for_ever("the watch over the store of limits", self._watch)

    async def states(self, limits: Sequence[Limit], now: datetime) -> tuple[LimitState, ...]:
        """See `LimitsStore.states`; in an outage the ledger's figures and what was added here."""
        if not self.is_away:
            try:
                return await self._shared.states(limits, now)
            except PolicyUnavailable:
                self._lose()
        states = await self._local.states(limits, now)
        return tuple(
            [
                replace(state, used=state.used + await self._spent_of(state.limit, now))
                for state in states
            ]
        )

    async def reserve(
        self, reservation: Reservation, amounts: Amounts, now: datetime
    ) -> Reserved | Refused | Unprimed:
        """See `LimitsStore.reserve`; in an outage from this process's share, where the route may.

        Raises:
            PolicyUnavailable: Neither store can be asked, or the route says `closed`.
        """
        may_degrade = reservation.route.when_limits_down is WhenLimitsDown.DEGRADED
        if not (may_degrade and self.is_away):
            try:
                return await self._shared.reserve(reservation, amounts, now)
            except PolicyUnavailable:
                self._lose()
                if not may_degrade:
                    raise
        return await self._reserve_here(reservation, amounts, now)

    async def redeem(
        self, decision_id: str, now: datetime, *, is_late: bool = False
    ) -> Reservation | None:
        """See `LimitsStore.redeem`."""
        held = self._held.get(decision_id)
        if held is None:
            return await self._shared.redeem(decision_id, now, is_late=is_late)
        redeemed = await self._local.redeem(decision_id, now, is_late=is_late)
        if redeemed is None:
            return None
        held.is_redeemed = True
        return replace(held.reservation, expires_at=redeemed.expires_at)

    async def find(self, decision_id: str) -> Reservation | None:
        """See `LimitsStore.find`."""
        held = self._held.get(decision_id)
        return held.reservation if held else await self._shared.find(decision_id)

    async def extend(self, decision_id: str, expires_at: datetime) -> None:
        """See `LimitsStore.extend`."""
        held = self._held.get(decision_id)
        if held is None:
            await self._shared.extend(decision_id, expires_at)
            return
        held.reservation = replace(held.reservation, expires_at=expires_at)
        await self._local.extend(decision_id, expires_at)

    async def settle(
        self, decision_id: str, actual: Amounts, row: bytes, now: datetime
    ) -> SettleOutcome:
        """See `LimitsStore.settle`: what was admitted here is booked in the shared store as well.

        Raises:
            PolicyUnavailable: It is still away: settle again when it is back.
        """
        if self._held.pop(decision_id, None) is not None:
            await self._local.settle(decision_id, actual, row, now)
            # The row travels by the shared store's queue, or in two.
            await self._local.acknowledge(await self._local.take_rows(_MOST_ROWS, 0))
            if self.is_away:
                raise PolicyUnavailable("The store of limits does not answer.")
        return await self._shared.settle(decision_id, actual, row, now)

    async def unwritten(self, *, is_urgent: bool = False) -> Unwritten:
        """See `LimitsStore.unwritten`."""
        return await self._shared.unwritten(is_urgent=is_urgent)

    async def prime(self, limit: Limit, spent: Sequence[Spent], mark: int, now: datetime) -> bool:
        """See `LimitsStore.prime`."""
        return await self._shared.prime(limit, spent, mark, now)

    async def compare(
        self, limit: Limit, spent: Sequence[Spent], mark: int, now: datetime
    ) -> Comparison | None:
        """See `LimitsStore.compare`."""
        return await self._shared.compare(limit, spent, mark, now)

    async def rebuild(self) -> int:
        """See `LimitsStore.rebuild`."""
        return await self._shared.rebuild()

    async def backlog(self) -> Backlog:
        """See `LimitsStore.backlog`; what only this process knows is not in it."""
        return await self._shared.backlog()

    async def overdue(self, now: datetime, most: int) -> tuple[Reservation, ...]:
        """See `LimitsStore.overdue`: what is held here ends when the shared store has it."""
        return await self._shared.overdue(now, most)

    async def expire(self, decision_id: str, row: bytes, now: datetime) -> bool:
        """See `LimitsStore.expire`."""
        return await self._shared.expire(decision_id, row, now)

    async def take_rows(self, most: int, wait_s: float) -> tuple[QueuedRow, ...]:
        """See `LimitsStore.take_rows`."""
        return await self._shared.take_rows(most, wait_s)

    async def acknowledge(self, rows: Sequence[QueuedRow]) -> bool:
        """See `LimitsStore.acknowledge`."""
        return await self._shared.acknowledge(rows)

    async def incarnation(self) -> str:
        """See `LimitsStore.incarnation`; that of the shared store."""
        return await self._shared.incarnation()

    async def ready(self) -> bool:
        """Whether the shared store answers."""
        return await self._shared.ready()

    async def close(self) -> None:
        """Let go of both."""
        await self._local.close()
        await self._shared.close()

    async def _reserve_here(
        self, reservation: Reservation, amounts: Amounts, now: datetime
    ) -> Reserved | Refused:
        share = Decimal(str(reservation.route.degraded_share))
        caller = reservation.caller
        cut = tuple([await self._cut(limit, share, now) for limit in caller.limits])
        held = replace(reservation, is_degraded=True)
        asked = replace(held, caller=replace(caller, limits=cut))
        outcome = await self._local.reserve(asked, amounts, now)
        while isinstance(outcome, Unprimed):
            for limit in outcome.limits:
                # What the ledger has is taken off the limit already.
                await self._local.prime(limit, (), (await self._local.unwritten()).mark, now)
            outcome = await self._local.reserve(asked, amounts, now)
        if isinstance(outcome, Refused):
            return replace(outcome, is_degraded=True)
        self._held[reservation.decision_id] = _Held(held)
        self.admitted += 1
        for limit in caller.limits:
            if limit.measure.period.is_from_ledger:
                self._touched[limit.key] = limit
        _log.warning(
            "%s was admitted without the shared limits, from %s of what is left",
            reservation.decision_id,
            share,
        )
        return replace(outcome, is_degraded=True)

    async def _cut(self, limit: Limit, share: Decimal, now: datetime) -> Limit:
        left = max(limit.amount - await self._spent_of(limit, now), Decimal(0))
        return replace(limit, amount=left * share)

    async def _spent_of(self, limit: Limit, now: datetime) -> Decimal:
        """What the ledger had of a limit when it was first asked in this outage."""
        period = limit.measure.period
        if not period.is_from_ledger:
            return Decimal(0)
        label = calendar_span(period, now, limit.time_zone).label if period.is_calendar else ""
        key = (limit.key, limit.models, label)
        if key not in self._spent:
            async with self._summing:
                if key not in self._spent:
                    spent = await self._ledger.spent(limit, now)
                    self._spent[key] = sum((one.amount for one in spent), Decimal(0))
        return self._spent[key]

    def _lose(self) -> None:
        if self.is_away:
            return
        _log.warning("the store of limits cannot be asked: each route does as it says")
        is_old = self._back_at is None or self._clock() > self._back_at + _FORGET_AFTER
        if is_old and not self._held:
            self._local = self._make_local()
        self._spent.clear()
        self._away.set()

    async def _watch(self) -> None:
        await self._away.wait()
        if await self._shared.ready():
            await self._take_back()
            self._back_at = self._clock()
            self._away.clear()
            _log.warning("the store of limits is back: %d calls were admitted alone", self.admitted)
        else:
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _take_back(self) -> None:
        """Let the shared store know what is under way here, before it is asked again."""
        reserving = Reserving(self._shared, self._ledger)
        for decision_id, held in list(self._held.items()):
            if decision_id not in self._held:
                continue  # settled meanwhile
            now = self._clock()
            if await self._shared.find(decision_id) is None:
                lease = held.reservation
                ends_at = max(lease.expires_at, now + TAKEN_UP_LEASE)
                lease = replace(lease, expires_at=ends_at)
                await reserving.take_up(lease, reserved_for(lease), now)
            if held.is_redeemed:
                await self._shared.redeem(decision_id, now)
            self._held.pop(decision_id, None)


def degraded_header(*, is_degraded: bool) -> dict[str, str]:
    """Tells the client that the call was admitted, or refused, by one process alone."""
    return {DEGRADED: "degraded"} if is_degraded else {}
