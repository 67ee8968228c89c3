"""Sees to it that every booking of this process comes to the ledger, whatever the store loses."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from llm_core.errors import PolicyUnavailable
from policy_service.ports.ledger import Ledger
from policy_service.ports.limits import SettleOutcome
from policy_service.services.background import for_ever
from policy_service.services.settle import Settler
from policy_service.services.unconfirmed import Booking, Unconfirmed

_log = logging.getLogger(__name__)
_INTERVAL_S = 2.0
_SEEN_AFTER_S = 3.0
"""A row takes about a second from its booking to the ledger."""

_MISSING_AFTER_S = 15.0
_LONGEST_WAIT_S = 300.0
_MOST_ASKED = 2_000
_MOST_BOOKED = 500
_AT_ONCE = 20
_FINISH_S = 5.0


@dataclass(frozen=True, slots=True)
class Keeper:
    """Books again what the store has lost, and what could not be booked.

    As long as this process lives, a store that comes back empty loses no row. What was booked is
    looked for in the ledger; what is not there after a while is booked once more, which does no
    harm when it only waits in the queue. What was never booked is tried until it is.

    A store that was started anew may have come back with counters of before: these are dropped, to
    be made from the ledger.
    """

    settler: Settler
    ledger: Ledger
    _incarnations: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Keep until cancelled; then `finish`."""
        await for_ever("the keeper", self._step_and_wait)

    async def step(self) -> None:
        """Book what is owed, then look for what was booked.

        Raises:
            PolicyUnavailable: The store or the ledger is away.
        """
        while bookings := self._unconfirmed.owed(_MOST_BOOKED):
            await self._book(bookings)
        await self._look()
        # Last: who may not ask Redis for its run books all the same.
        await self._drop_counters_of_before()

    async def finish(self) -> None:
        """Try once more what is owed when the service stops; what stays so is told in the log."""
        try:
            async with asyncio.timeout(_FINISH_S):
                while bookings := self._unconfirmed.owed(_MOST_BOOKED):
                    await self._book(bookings)
        except (PolicyUnavailable, TimeoutError):
            _log.error(
                "%d calls could not be booked: their leases charge the estimate",
                self._unconfirmed.owed_count,
            )

    @property
    def _unconfirmed(self) -> Unconfirmed:
        return self.settler.unconfirmed

    async def _step_and_wait(self) -> None:
        await self.step()
        await asyncio.sleep(_INTERVAL_S)

    async def _drop_counters_of_before(self) -> None:
        limits = self.settler.limits
        incarnation = await limits.incarnation()
        if self._incarnations and self._incarnations != [incarnation]:
            dropped = await limits.rebuild()
            _log.warning("the store of limits was started anew: %d counters are remade", dropped)
        self._incarnations[:] = [incarnation]

    async def _look(self) -> None:
        waiting = self._unconfirmed.unseen(_SEEN_AFTER_S, _MOST_ASKED)
        if not waiting:
            return
        written = await self.ledger.written(waiting)
        if self._unconfirmed.confirmed(written):
            # Its row was there before, or came twice: then the counters hold it once too often.
            await self.settler.limits.rebuild()
        lost = [one for one in waiting if one not in written][:_MOST_BOOKED]
        again = self._unconfirmed.missing(lost, _MISSING_AFTER_S, _LONGEST_WAIT_S)
        await self._book(tuple(again))

    async def _book(self, bookings: Sequence[Booking]) -> None:
        for some in _in_parts(bookings):
            outcomes = await asyncio.gather(
                *(self._booked(booking) for booking in some), return_exceptions=True
            )
            for booking, outcome in zip(some, outcomes, strict=True):
                self._heed(booking, outcome)

    async def _booked(self, booking: Booking) -> SettleOutcome:
        return await self.settler.book(booking.reservation, booking.report)

    def _heed(self, booking: Booking, outcome: SettleOutcome | BaseException) -> None:
        decision_id = booking.reservation.decision_id
        if isinstance(outcome, PolicyUnavailable):
            raise outcome
        if isinstance(outcome, BaseException):
            _log.error("%s cannot be booked: %s: %s", decision_id, type(outcome).__name__, outcome)
        if outcome is not SettleOutcome.SETTLED:
            self._unconfirmed.settled_elsewhere(decision_id)


def _in_parts(bookings: Sequence[Booking]) -> Iterable[Sequence[Booking]]:
    return (bookings[start : start + _AT_ONCE] for start in range(0, len(bookings), _AT_ONCE))
