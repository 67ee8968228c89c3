"""Keeps room in the ledger for the months to come, and drops what is too old to be kept."""

import asyncio
import logging
from dataclasses import dataclass

from policy_service.ports.clock import Clock
from policy_service.ports.content import ContentStore
from policy_service.ports.upkeep import Upkeep
from policy_service.services.background import for_ever

_log = logging.getLogger(__name__)
_INTERVAL_S = 3600.0


@dataclass(frozen=True, slots=True)
class Retention:
    """Looks after the ledger by the hour; every process may, and the first one does the work.

    Args:
        kept_months: So many months before the current one keep their rows; `None`: all of them.
            The roll-ups stay for ever.
        content: What was said in calls, each line until its time is over.
        content_days: And no longer than this, whatever its time; `None`: no longest time.
    """

    upkeep: Upkeep
    clock: Clock
    kept_months: int | None = None
    content: ContentStore | None = None
    content_days: int | None = None

    async def run(self) -> None:
        """Go on until cancelled; an outage is waited out."""
        await for_ever("the ledger's upkeep", self._once_an_hour)

    async def once(self) -> tuple[str, ...]:
        """Make room, then drop what is too old.

        Returns:
            The months that were dropped, written `2026-11`.

        Raises:
            PolicyUnavailable: The database failed.
        """
        now = self.clock()
        for month in await self.upkeep.make_room(now):
            _log.info("the ledger has a place for %s", month)
        if self.content is not None:
            gone = await self.content.drop_old(now, self.content_days)
            if gone:
                _log.info("the words of %d calls are dropped: their time is over", gone)
        if self.kept_months is None:
            return ()
        dropped = await self.upkeep.drop_old(now, self.kept_months)
        for month in dropped:
            _log.info("the ledger's rows of %s are dropped; their sums stay", month)
        return dropped

    async def _once_an_hour(self) -> None:
        await self.once()
        await asyncio.sleep(_INTERVAL_S)
