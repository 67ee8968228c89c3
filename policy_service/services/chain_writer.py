"""Writes events into their chains: takes many from where they wait, and appends them at once.

Every process may write what waits in itself and in the outbox; who holds the lease writes what
waits in Redis. Appending is one transaction that no other runs beside, and an event that comes a
second time is known by its id: a process may die at any point of this.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from llm_core.audit.event import PLATFORM_CHAIN
from llm_core.errors import PolicyUnavailable
from policy_service.ports.audit import (
    AuditChain,
    LocalSpool,
    Noted,
    Spool,
    UnwritableEvents,
    Waiting,
)
from policy_service.ports.clock import Clock
from policy_service.services.background import for_ever
from policy_service.services.decision_recorder import DecisionRecorder

_BATCH = 500
_HAND_OVERS = 50
"""Each of up to 20 events."""

_GATHER_S = 0.5
_GATHER_HERE_S = 0.2
"""How long events gather: a transaction takes 4 ms of processor time, each event in it 0.1 ms. They
are safe meanwhile in Redis, and not here."""

_WAIT_S = 0.5
_LEASE = "audit chain"
_LEASE_S = 5.0
_RENEW_S = 1.5
_FINISH_S = 5.0

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class ChainWriter:
    """Moves events from where they wait into their chains.

    Args:
        chain: The chains.
        memory: What waits in this process.
        shared: What waits for all processes; `None` without Redis.
        recorder: Is told of events that the database will never take.
        owner: Names this process.
    """

    chain: AuditChain
    memory: LocalSpool
    shared: Spool | None
    recorder: DecisionRecorder
    clock: Clock
    owner: str
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _held: list[Waiting] = field(default_factory=list)
    """Taken from the shared spool and not written yet."""
    _asked_s: float = float("-inf")
    _is_holder: bool = False

    async def run(self) -> None:
        """Write until cancelled; then `finish`."""
        await for_ever("the audit chain's writer", self._write_and_gather)

    async def write_once(self, wait_s: float = _WAIT_S) -> int:
        """Write one batch; waits a moment for events when there are none.

        Returns:
            How many were taken, those of the outbox not counted.

        Raises:
            PolicyUnavailable: The database is away; nothing is lost.
        """
        shared: Sequence[Waiting] = ()
        if self.shared is not None and await self._holds():
            shared = self._held or await self._taken(self.shared, 0 if len(self.memory) else wait_s)
            wait_s = 0
        self._held = list(shared)
        own = await self.memory.take(_BATCH, 0 if shared else wait_s)
        if own or shared or await self.chain.has_outbox():
            # Once taken, a batch is written to its end, also when the service stops meanwhile.
            await asyncio.shield(self._write(own, shared))
        return len(own) + len(shared)

    async def finish(self) -> None:
        """Write what waits when the service stops: memory ends with the process."""
        try:
            async with asyncio.timeout(_FINISH_S):
                await self.recorder.flush()
                async with self._writing:
                    pass
                while await self.write_once(wait_s=0) and len(self.memory):
                    pass
                await self.chain.release(self.owner)
        except (PolicyUnavailable, TimeoutError) as outage:
            await self._leave_to_others()
            if left := len(self.memory):
                _log.error("%d audit events are lost: %s", left, outage or "no time")

    async def _leave_to_others(self) -> None:
        """Put what waits here where other processes find it, if there is such a place."""
        own = await self.memory.take(len(self.memory), 0)
        if self.shared is None or not own:
            return
        with suppress(PolicyUnavailable):
            await self.shared.put([noted for one in own for noted in one.noted or ()])
            await self.memory.done(own)

    async def _write_and_gather(self) -> None:
        if await self.write_once() < _HAND_OVERS:
            await asyncio.sleep(_GATHER_S if self.shared is not None else _GATHER_HERE_S)

    async def _taken(self, spool: Spool, wait_s: float) -> Sequence[Waiting]:
        try:
            return await spool.take(_HAND_OVERS, wait_s)
        except PolicyUnavailable as outage:
            # What waits here and in the outbox can be written all the same.
            _log.warning("audit events in Redis wait: %s", outage)
            await asyncio.sleep(wait_s)
            return ()

    async def _write(self, own: Sequence[Waiting], shared: Sequence[Waiting]) -> None:
        async with self._writing:
            taken = (*shared, *own)
            noted = [noted for one in taken for noted in one.noted or ()]
            try:
                await self.chain.append(noted)
            except UnwritableEvents:
                await self._write_singly(noted)
            for _ in [one for one in taken if one.noted is None]:
                self.recorder.note_lost(PLATFORM_CHAIN, "unreadable where it waited")
            # Before Redis is told, so that an outage of it does not have them written again.
            await self.memory.done(own)
            if self.shared is not None:
                await self.shared.done(shared)
            self._held.clear()

    async def _write_singly(self, noted: Sequence[Noted]) -> None:
        """Find those that the database will never take; their chain says that they are lost."""
        for one in noted:
            try:
                await self.chain.append([one])
            except UnwritableEvents as fault:
                _log.error("%s cannot be written and is lost: %s", one.event.id, fault)
                self.recorder.note_lost(one.event.chain, "refused by the database")

    async def _holds(self) -> bool:
        """Whether the shared spool is this process's to read."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._asked_s < _RENEW_S:
            return self._is_holder
        was_holder = self._is_holder
        self._is_holder = await self.chain.hold(_LEASE, self.owner, self.clock(), _LEASE_S)
        self._asked_s = now_s
        if self._is_holder and not was_holder and self.shared is not None:
            self._held.clear()
            self.shared.start_over()
        return self._is_holder
