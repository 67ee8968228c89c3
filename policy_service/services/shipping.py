"""Sends the audit chains on to where others keep them, from where each sink has got to."""

import asyncio
import logging
from dataclasses import dataclass

from policy_service.ports.audit import AuditChain, Shipments, Sink, SinkUnavailable
from policy_service.ports.clock import Clock
from policy_service.services.background import for_ever

_AT_ONCE = 200
_LOOK_S = 1.0
_STANDBY_S = 2.0
_LEASE_S = 60.0
_RENEW_S = 10.0
_LONGEST_WAIT_S = 30.0

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Shipper:
    """Sends to one sink; of all processes, the one that holds the lease does.

    Events come in the order of their chain, at least once: what was sent and could not be noted, or
    was half sent, is sent again. An outage of the sink loses nothing.
    """

    chain: AuditChain
    shipments: Shipments
    sink: Sink
    clock: Clock
    owner: str
    _asked_s: float = float("-inf")
    _is_holder: bool = False
    _failures: int = 0
    _last_chain: str = ""

    async def run(self) -> None:
        """Send until cancelled."""
        await for_ever(f"shipping the audit chain to {self.sink.name}", self._step_and_wait)

    async def step(self) -> int | None:
        """Send the next few; gives how many, or `None` when this process is not the one to.

        Raises:
            SinkUnavailable: It did not take them.
            PolicyUnavailable: The database is away.
        """
        if not await self._holds():
            return None
        lines = await self.shipments.next(self.sink.name, _AT_ONCE, after=self._last_chain)
        if lines:
            self._last_chain = lines[0].chain
            await self.sink.send(lines)
            # What was sent is noted, also when the service stops meanwhile.
            await asyncio.shield(self.shipments.sent(self.sink.name, lines))
        return len(lines)

    async def _step_and_wait(self) -> None:
        try:
            sent = await self.step()
        except SinkUnavailable as fault:
            if self._failures == 0:
                _log.warning("the audit chain waits for %s: %s", self.sink.name, fault)
            self._failures += 1
            await asyncio.sleep(min(2.0**self._failures, _LONGEST_WAIT_S))
            return
        if self._failures:
            _log.info("the audit chain goes to %s again", self.sink.name)
            self._failures = 0
        if not sent:
            await asyncio.sleep(_STANDBY_S if sent is None else _LOOK_S)

    async def _holds(self) -> bool:
        now_s = asyncio.get_running_loop().time()
        if now_s - self._asked_s >= _RENEW_S or not self._is_holder:
            name = f"ship to {self.sink.name}"
            self._is_holder = await self.chain.hold(name, self.owner, self.clock(), _LEASE_S)
            self._asked_s = now_s
        return self._is_holder
