"""Moves usage rows from the store's queue into the ledger, and ends leases that ran out."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from llm_core.errors import PolicyUnavailable
from policy_service.ports.ledger import Ledger, UsageRow
from policy_service.ports.limits import LimitsStore, QueuedRow
from policy_service.services.background import for_ever
from policy_service.services.settle import Settler

_log = logging.getLogger(__name__)
_BATCH = 500
_WAIT_S = 1.0
_GATHER_S = 0.25
"""How long rows gather: a transaction takes 4 ms of processor time, each row in it 0.07 ms more."""

_FINISH_S = 5.0


@dataclass(frozen=True, slots=True)
class LedgerWriter:
    """A row stays queued until it is in the ledger, so an outage of either side loses nothing.

    A batch that an outage stopped is kept and tried first: the queue would give it out again only
    much later. Should another process have written it by then, the ledger leaves it alone.
    """

    limits: LimitsStore
    ledger: Ledger
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _stopped: list[QueuedRow] = field(default_factory=list)
    _must_rebuild: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Write until cancelled; then `finish`."""
        await for_ever("the ledger writer", self._write_and_gather)

    async def write_once(self, wait_s: float = _WAIT_S) -> int:
        """Write one batch; waits a moment for rows when there are none.

        Returns:
            How many rows were taken.
        """
        await self._rebuild()
        queued = tuple(self._stopped) or await self.limits.take_rows(_BATCH, wait_s)
        if not queued:
            return 0
        # Once taken, a batch is written to its end, also when the service stops meanwhile.
        await asyncio.shield(self._write(queued))
        return len(queued)

    async def finish(self) -> None:
        """Write what waits when the service stops: a store in memory ends with the process."""
        try:
            async with asyncio.timeout(_FINISH_S):
                async with self._writing:
                    pass
                while await self.write_once(wait_s=0):
                    pass
        except (PolicyUnavailable, TimeoutError) as outage:
            _log.error("usage rows were left in the queue: %s", outage or "no time")

    async def _write_and_gather(self) -> None:
        if 0 < await self.write_once() < _BATCH:
            await asyncio.sleep(_GATHER_S)

    async def _write(self, queued: Sequence[QueuedRow]) -> None:
        async with self._writing:
            self._stopped.clear()
            try:
                await self.ledger.record([row for one in queued if (row := _read(one)) is not None])
                is_known = await self.limits.acknowledge(queued)
            except PolicyUnavailable:
                self._stopped.extend(queued)
                raise
        if not is_known:
            await self._set_right(len(queued))

    async def _set_right(self, count: int) -> None:
        """Counters that were set up while the store did not know these rows may lack them."""
        _log.warning(
            "the store had forgotten some of %d rows that are in the ledger now: the counters are "
            "set up anew",
            count,
        )
        self._must_rebuild.set()
        await self._rebuild()

    async def _rebuild(self) -> None:
        if self._must_rebuild.is_set():
            await self.limits.rebuild()
            self._must_rebuild.clear()


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Ends leases that ran out."""

    settler: Settler
    interval_s: float

    async def run(self) -> None:
        """Sweep until cancelled."""
        await for_ever("the sweeper", self._sweep)

    async def _sweep(self) -> None:
        await self.settler.sweep()
        await asyncio.sleep(self.interval_s)


def _read(queued: QueuedRow) -> UsageRow | None:
    try:
        return msgspec.json.decode(queued.row, type=UsageRow)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        # Written by another version of this service: kept in the log rather than lost in silence.
        _log.error(
            "a usage row cannot be read (%s): %s", fault, queued.row.decode(errors="replace")
        )
        return None
