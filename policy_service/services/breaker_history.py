"""Writes down which steps breakers take, in the background, and forgets the old ones.

`note` is called in the course of a call: it puts a few rows into a list and comes back.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from llm_core.catalogue import Catalogue
from llm_core.errors import PolicyUnavailable
from llm_core.routing.transitions import Transition
from policy_service.ports.breakers import BreakerLog, BreakerTransition, transition_id
from policy_service.ports.clock import Clock
from policy_service.services.background import for_ever

MOST = 10_000
_BATCH = 500
_GATHER_S = 0.05
_FINISH_S = 5.0
_INTERVAL_S = 3600.0
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class BreakerHistory:
    """Steps wait here until the database has them; an outage loses none while there is room.

    Args:
        log: Where they are written.
        catalogue: Knows the deployments' providers and models.
        most: So many wait at most; beyond that the oldest give way.
    """

    log: BreakerLog
    catalogue: Catalogue
    most: int = MOST
    lost: int = 0
    """How many gave way since this process started."""
    _waiting: deque[BreakerTransition] = field(default_factory=deque)
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, deployment_id: str, transitions: Sequence[Transition]) -> None:
        """Take note of steps; never waits and never raises. See `ports.breakers.Told`."""
        self._waiting.extend(self._row(deployment_id, one) for one in transitions)
        self._make_room()
        self._came.set()

    async def run(self) -> None:
        """Write until cancelled; then `finish`."""
        await for_ever("the history of breakers", self._gather_and_write)

    async def write(self) -> None:
        """Write all that waits.

        Raises:
            PolicyUnavailable: The database failed; what was not written waits.
        """
        while self._waiting:
            some = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            try:
                await self.log.record(some)
            except BaseException:
                self._waiting.extendleft(reversed(some))
                self._make_room()
                self._came.set()
                raise

    async def finish(self) -> None:
        """Write the rest when the service stops."""
        try:
            async with asyncio.timeout(_FINISH_S):
                await self.write()
        except (PolicyUnavailable, TimeoutError) as outage:
            _log.warning("%d steps of breakers are lost: %s", len(self._waiting), outage)

    async def _gather_and_write(self) -> None:
        await self._came.wait()
        await asyncio.sleep(_GATHER_S)
        self._came.clear()
        await self.write()

    def _make_room(self) -> None:
        surplus = len(self._waiting) - self.most
        if surplus <= 0:
            return
        if not self.lost:
            _log.error("the history of breakers has a gap: too many steps wait for the database")
        self.lost += surplus
        for _ in range(surplus):
            self._waiting.popleft()

    def _row(self, deployment_id: str, one: Transition) -> BreakerTransition:
        deployment = self.catalogue.deployment(deployment_id)
        return BreakerTransition(
            id=transition_id(deployment_id, one),
            at=one.at,
            deployment_id=deployment_id,
            provider=deployment.provider_name if deployment else "",
            model=deployment.model if deployment else "",
            before=one.before,
            after=one.after,
            reason=one.cause,
            error_class=one.error,
            opens_until=one.opens_until,
        )


@dataclass(frozen=True, slots=True)
class BreakerRetention:
    """Drops steps whose time is over; looks by the hour, and every process may.

    Args:
        kept_days: So long they are kept.
    """

    log: BreakerLog
    clock: Clock
    kept_days: int

    async def run(self) -> None:
        """Go on until cancelled; an outage is waited out."""
        await for_ever("the upkeep of breakers' history", self._once_an_hour)

    async def once(self) -> int:
        """Drop what is too old; gives how many.

        Raises:
            PolicyUnavailable: The database failed.
        """
        count = await self.log.forget(self.clock() - timedelta(days=self.kept_days))
        if count:
            _log.info("%d old steps of breakers are dropped", count)
        return count

    async def _once_an_hour(self) -> None:
        await self.once()
        await asyncio.sleep(_INTERVAL_S)
