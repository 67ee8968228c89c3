"""Forgets what policy was asked once its time is over; what was decided stays."""

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta

from policy_service.ports.clock import Clock
from policy_service.ports.decision_log import DecisionInputs
from policy_service.services.background import for_ever

_INTERVAL_S = 3600.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DecisionRetention:
    """Looks by the hour; every process may.

    Args:
        kept_days: So long the decision log keeps what policy was asked; `None` is for ever.
    """

    inputs: DecisionInputs
    clock: Clock
    kept_days: int | None = None

    async def run(self) -> None:
        """Go on until cancelled; an outage is waited out."""
        if self.kept_days is not None:
            await for_ever("the decision log's upkeep", self._once_an_hour)

    async def once(self) -> int:
        """Forget what is too old; gives of how many decisions.

        Raises:
            PolicyUnavailable: The database failed.
        """
        if self.kept_days is None:
            return 0
        count = await self.inputs.forget_inputs(self.clock() - timedelta(days=self.kept_days))
        if count:
            _log.info("what policy was asked in %d old decisions is dropped", count)
        return count

    async def _once_an_hour(self) -> None:
        await self.once()
        await asyncio.sleep(_INTERVAL_S)
