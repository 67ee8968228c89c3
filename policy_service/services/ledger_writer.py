"""Moves usage rows from the store's queue into the ledger, and ends leases that ran out."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from llm_core.errors import PolicyUnavailable
from policy_service.ports import Ledger, LimitsStore, QueuedRow, UsageRow
from policy_service.services.settle import Settler

_log = logging.getLogger(__name__)
_BATCH = 500
_WAIT_S = 1.0
_BACK_OFF_S = 1.0


@dataclass(frozen=True, slots=True)
class LedgerWriter:
    """A row stays queued until it is in the ledger, so an outage of either side loses nothing."""

    limits: LimitsStore
    ledger: Ledger

    async def run(self) -> None:
        """Write until cancelled."""
        await _for_ever("the ledger writer", self.write_once)

    async def write_once(self) -> int:
        """Write one batch; waits a moment for rows when there are none.

        Returns:
            How many rows were taken.
        """
        queued = await self.limits.take_rows(_BATCH, _WAIT_S)
        if not queued:
            return 0
        await self.ledger.record([row for one in queued if (row := _read(one)) is not None])
        await self.limits.acknowledge([one.token for one in queued])
        return len(queued)


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Ends leases that ran out."""

    settler: Settler
    interval_s: float

    async def run(self) -> None:
        """Sweep until cancelled."""
        await _for_ever("the sweeper", self._sweep)

    async def _sweep(self) -> None:
        await self.settler.sweep()
        await asyncio.sleep(self.interval_s)


async def _for_ever(name: str, step: Callable[[], Awaitable[object]]) -> None:
    """Repeat `step`; an outage is waited out, anything else is logged and survived."""
    while True:
        try:
            await step()
        except PolicyUnavailable as outage:
            _log.warning("%s waits: %s", name, outage)
            await asyncio.sleep(_BACK_OFF_S)
        except Exception:  # noqa: BLE001 - the work must go on, whatever the fault
            _log.exception("%s stumbled and goes on", name)
            await asyncio.sleep(_BACK_OFF_S)


def _read(queued: QueuedRow) -> UsageRow | None:
    try:
        return msgspec.json.decode(queued.row, type=UsageRow)
    except msgspec.DecodeError as fault:
        # Written by another version of this service: kept in the log rather than lost in silence.
        _log.error(
            "a usage row cannot be read (%s): %s", fault, queued.row.decode(errors="replace")
        )
        return None
