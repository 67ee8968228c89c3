"""Reserving against every limit, with counters set up from the ledger where they lack."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import partial

from llm_core.errors import PolicyUnavailable
from llm_core.policy.decision import Reservation
from llm_core.policy.limits import Amounts, Limit
from policy_service.ports.ledger import Ledger
from policy_service.ports.limits import LimitsStore, Refused, Reserved, Unprimed

_RESERVE_TRIES = 50
"""Each time the counters can have been dropped again: somebody may rebuild them under load."""

_PRIME_TRIES = 30
"""Each takes as long as summing the ledger does; every process is given rows a few times a second,
and acknowledges them as often."""

_URGENT_AFTER = 3

_UNLIMITED_USD = Decimal(4_000_000_000)
_UNLIMITED = Decimal(2**52)
"""More than either is no counter's business: see `adapters/pico_usd.py`, `adapters/windows.py`."""

_Wanted = tuple[str, tuple[str, ...], str]
"""What tells one counter from another, but for the period: key, models, time zone."""


@dataclass(frozen=True, slots=True)
class Reserving:
    """Reserves, priming counters on the way.

    Calls that miss the same counter at the same time wait for one of them to set it up.
    """

    limits: LimitsStore
    ledger: Ledger
    _under_way: dict[_Wanted, "asyncio.Task[None]"] = field(default_factory=dict)

    async def reserve(
        self, reservation: Reservation, amounts: Amounts, now: datetime
    ) -> Reserved | Refused:
        """Take `amounts` from every limit of the caller, or from none.

        Raises:
            PolicyUnavailable: Store or ledger cannot be asked.
        """
        for _ in range(_RESERVE_TRIES):
            try:
                outcome = await self.limits.reserve(reservation, amounts, now)
            except ValueError as used:
                # A plugin's second try, after the first one's answer was lost on the way. It takes
                # the first one back by itself.
                raise PolicyUnavailable("This call has been decided before: try again.") from used
            if not isinstance(outcome, Unprimed):
                return outcome
            await self.prime(outcome.limits, now)
        raise _unsettled()

    async def take_up(self, reservation: Reservation, amounts: Amounts, now: datetime) -> None:
        """Reserve again what the store has lost and a provider has served: no limit refuses it.

        A counter is named by its limit's node, scope and measure, not by its amount, so the same
        counters are charged.
        """
        caller = reservation.caller
        unlimited = tuple(_unlimited(limit) for limit in caller.limits)
        await self.reserve(
            replace(reservation, caller=replace(caller, limits=unlimited)), amounts, now
        )

    async def prime(self, limits: Sequence[Limit], now: datetime) -> None:
        """Set up those of the counters that the store has not got.

        Args:
            limits: Their periods are `is_from_ledger`.
            now: Chooses the periods.

        Raises:
            PolicyUnavailable: Store or ledger cannot be asked.
        """
        for limit in limits:
            wanted = (limit.key, limit.models, limit.time_zone)
            task = self._under_way.get(wanted)
            if task is None:
                task = asyncio.create_task(self._prime_one(limit, now))
                self._under_way[wanted] = task
                task.add_done_callback(partial(self._primed, wanted))
            # The others need it too, should this call be given up meanwhile.
            await asyncio.shield(task)

    def _primed(self, wanted: _Wanted, _task: "asyncio.Task[None]") -> None:
        self._under_way.pop(wanted)

    async def _prime_one(self, limit: Limit, now: datetime) -> None:
        """Sum the ledger, and make the counter, unless rows were on their way just then."""
        for tried in range(_PRIME_TRIES):
            unwritten = await self.limits.unwritten(is_urgent=tried >= _URGENT_AFTER)
            spent = await self.ledger.spent(limit, now, without=unwritten.decision_ids)
            if await self.limits.prime(limit, spent, unwritten.mark, now):
                return
        raise _unsettled()


def _unlimited(limit: Limit) -> Limit:
    return replace(limit, amount=_UNLIMITED_USD if limit.measure.is_money else _UNLIMITED)


def _unsettled() -> PolicyUnavailable:
    return PolicyUnavailable("The budget counters cannot be set up just now: try again.")
