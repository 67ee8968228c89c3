"""Reserving against every limit, with the money counters set up from the ledger where they lack."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from llm_core.errors import PolicyUnavailable
from llm_core.policy.decision import Reservation
from llm_core.policy.limits import Amounts
from policy_service.ports.ledger import Ledger
from policy_service.ports.limits import LimitsStore, Refused, Reserved, Unprimed

_PRIME_TRIES = 3
_NO_LIMIT = Decimal(4_000_000_000)


@dataclass(frozen=True, slots=True)
class Reserving:
    """Reserves, priming counters on the way."""

    limits: LimitsStore
    ledger: Ledger

    async def reserve(
        self, reservation: Reservation, amounts: Amounts, now: datetime
    ) -> Reserved | Refused:
        """Take `amounts` from every limit of the caller, or from none.

        Raises:
            PolicyUnavailable: Store or ledger cannot be asked.
        """
        for _ in range(_PRIME_TRIES):
            try:
                outcome = await self.limits.reserve(reservation, amounts, now)
            except ValueError as used:
                # A plugin's second try, after the first one's answer was lost on the way. It takes
                # the first one back by itself.
                raise PolicyUnavailable("This call has been decided before: try again.") from used
            if not isinstance(outcome, Unprimed):
                return outcome
            for limit in outcome.limits:
                spent = await self.ledger.month_usd(limit.node, now)
                await self.limits.prime(limit, spent, now)
        raise PolicyUnavailable("The budget counters cannot be set up just now: try again.")

    async def take_up(self, reservation: Reservation, amounts: Amounts, now: datetime) -> None:
        """Reserve again what the store has lost and a provider has served: no limit refuses it.

        A counter is named by its limit's node and measure, not by its amount, so the same counters
        are charged.
        """
        caller = reservation.caller
        unlimited = tuple(replace(limit, amount=_NO_LIMIT) for limit in caller.limits)
        await self.reserve(
            replace(reservation, caller=replace(caller, limits=unlimited)), amounts, now
        )
