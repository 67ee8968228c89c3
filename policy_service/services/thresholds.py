"""Tells when a limit is half used, nearly used, used up: once in its period, over all processes."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from llm_core.policy.limits import Limit, LimitState, Period
from policy_service.periods import calendar_span
from policy_service.ports.alerts import Alert, Alerts, Teller
from policy_service.ports.clock import Clock
from policy_service.ports.ledger import Ledger
from policy_service.ports.limits import LimitsStore
from policy_service.services.background import for_ever

_log = logging.getLogger(__name__)
_INTERVAL_S = 1.0
_AT_ONCE = 100
_LOOK_AGAIN = timedelta(seconds=5)
_TELL_AGAIN = timedelta(seconds=10)
_MOST_TOLD_AGAIN = 20
_MOST_KNOWN = 100_000


@dataclass(slots=True)
class Thresholds:
    """Watches the limits that settled calls have moved.

    Counters hold open reservations as well, at their worst case. So what a counter shows is looked
    up in the ledger before anybody is told: only what was really used counts.

    Args:
        percents: Of a limit's amount, for example 50, 80 and 100.
        teller: Told of each alert beside the log; `None`: nobody.
    """

    limits: LimitsStore
    ledger: Ledger
    alerts: Alerts
    clock: Clock
    percents: tuple[int, ...]
    teller: Teller | None = None
    _moved: dict[str, Limit] = field(default_factory=dict)
    _later: dict[str, tuple[datetime, Limit]] = field(default_factory=dict)
    _known: set[tuple[str, str, int]] = field(default_factory=set)
    _told_again_at: datetime | None = None

    def moved(self, limits: Iterable[Limit]) -> None:
        """Note limits to look at; returns at once."""
        for limit in limits:
            if limit.measure.period.is_from_ledger:
                self._moved[limit.key] = limit

    async def run(self) -> None:
        """Watch until cancelled."""
        await for_ever("the thresholds", self._step_and_wait)

    async def step(self) -> None:
        """Look once at every limit that was moved, and tell again what was not taken.

        Raises:
            PolicyUnavailable: Store or database is away; what was not looked at stays noted.
        """
        now = self.clock()
        for key, (at, limit) in list(self._later.items()):
            if at <= now:
                del self._later[key]
                self._moved.setdefault(key, limit)
        while self._moved:
            some = list(self._moved.values())[:_AT_ONCE]
            await self._look(some, now)
            for limit in some:
                if self._moved.get(limit.key) is limit:
                    del self._moved[limit.key]
        await self._tell_again(now)

    async def _step_and_wait(self) -> None:
        await self.step()
        await asyncio.sleep(_INTERVAL_S)

    async def _look(self, limits: Sequence[Limit], now: datetime) -> None:
        for state in await self.limits.states(limits, now):
            new = self._passed(state.limit, state.used, now)
            if new:
                await self._confirm(state, now)

    def _passed(self, limit: Limit, used: Decimal, now: datetime) -> tuple[int, ...]:
        """The thresholds that `used` has passed and that are not known to be told."""
        period = _period_of(limit, now)
        return tuple(
            percent
            for percent in self.percents
            if 0 < limit.amount * percent <= used * 100
            and (limit.key, period, percent) not in self._known
        )

    async def _confirm(self, state: LimitState, now: datetime) -> None:
        """Go by the whole limit and the ledger; a counter that runs ahead is looked at again."""
        limit = await self.alerts.whole(state.limit, now)
        if limit is None:
            return
        counted = self._passed(limit, state.used, now)
        if not counted:
            return
        used = sum((one.amount for one in await self.ledger.spent(limit, now)), Decimal(0))
        booked = self._passed(limit, used, now)
        if booked != counted:
            self._later[limit.key] = (now + _LOOK_AGAIN, state.limit)
        for percent in booked:
            await self._tell_of(limit, percent, used, now)

    async def _tell_of(self, limit: Limit, percent: int, used: Decimal, now: datetime) -> None:
        alert = Alert(
            limit_key=limit.key,
            period=_period_of(limit, now),
            percent=percent,
            node=limit.node,
            measure=limit.measure.value,
            at=now,
            used=used,
            amount=limit.amount,
        )
        is_new = await self.alerts.add(alert)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known.add((alert.limit_key, alert.period, percent))
        if is_new:
            _log.warning(
                "%s has used %d %% of its limit in %s: %s of %s",
                alert.limit_key,
                percent,
                alert.period,
                alert.used,
                alert.amount,
            )
            await self._tell(alert)

    async def _tell(self, alert: Alert) -> bool:
        is_told = self.teller is None or await self.teller.tell(alert)
        if is_told:
            await self.alerts.told(alert)
        return is_told

    async def _tell_again(self, now: datetime) -> None:
        """Tell what nobody took, or what a process that died had only noted."""
        if self._told_again_at is not None and now < self._told_again_at + _TELL_AGAIN:
            return
        self._told_again_at = now
        for alert in await self.alerts.untold(now - _TELL_AGAIN, _MOST_TOLD_AGAIN):
            if not await self._tell(alert):
                return


def _period_of(limit: Limit, now: datetime) -> str:
    period = limit.measure.period
    named = period if period.is_calendar else Period.DAY
    return calendar_span(named, now, limit.time_zone).label
