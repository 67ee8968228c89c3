"""Holds the counters of limits against the ledger, and has them made anew."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from llm_core.errors import PolicyUnavailable
from llm_core.policy.limits import Limit
from policy_service.ports.clock import Clock
from policy_service.ports.ledger import Ledger
from policy_service.ports.limits import Comparison, LimitsStore, Unwritten

_TRIES = 100
_URGENT_AFTER = 3


@dataclass(frozen=True, slots=True)
class Reconciling:
    """Compares while the service runs: calls under way count as what they have reserved."""

    limits: LimitsStore
    ledger: Ledger
    clock: Clock

    async def check(self, limits: Sequence[Limit]) -> AsyncIterator[Comparison]:
        """Hold each counter against what the ledger says that it should be.

        Limits a minute and limits on what is under way are left out: the ledger knows nothing of
        them.

        Args:
            limits: With their models and time zones; amounts do not matter.

        Raises:
            PolicyUnavailable: Store or ledger cannot be asked, or rows keep moving so fast that no
                comparison comes about.
        """
        known: Unwritten | None = None
        for limit in limits:
            if limit.measure.period.is_from_ledger:
                comparison, known = await self._compare(limit, known)
                yield comparison

    async def rebuild(self) -> int:
        """Have every counter made anew from the ledger, by the next calls that need it.

        Returns:
            How many were dropped.

        Raises:
            PolicyUnavailable: The store cannot be asked.
        """
        return await self.limits.rebuild()

    async def _compare(self, limit: Limit, known: Unwritten | None) -> tuple[Comparison, Unwritten]:
        """Compare by what was unwritten a moment ago, or ask anew when that has changed."""
        for tried in range(_TRIES):
            unwritten = known or await self.limits.unwritten(is_urgent=tried >= _URGENT_AFTER)
            now = self.clock()
            spent = await self.ledger.spent(limit, now, without=unwritten.decision_ids)
            comparison = await self.limits.compare(limit, spent, unwritten.mark, now)
            if comparison is not None:
                return comparison, unwritten
            known = None
        raise PolicyUnavailable(f"The rows of {limit.key} keep moving: try again.")
