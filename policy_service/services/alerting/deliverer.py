"""Hands notices to their channels: none is lost, and none comes twice without a crash in between.

A notice is claimed before it is sent, and noted after. A process that dies between the two leaves
it claimed; when the claim has run out another process sends it again, with the same id, so that
whoever gets it can tell.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from llm_core.alerts.incident import Notice
from llm_core.alerts.routing import Routes, wait_s
from llm_core.errors import PolicyUnavailable
from policy_service.ports.clock import Clock
from policy_service.ports.incidents import Channel, ChannelFailed, Outbox
from policy_service.services.background import for_ever

_log = logging.getLogger(__name__)
_INTERVAL_S = 1.0
_AT_ONCE = 20
_CLAIM = timedelta(minutes=10)
"""Longer than a channel may take for a batch."""

_SEND_TIMEOUT_S = 25.0
_KEPT = timedelta(days=30)
_FORGET_EVERY = timedelta(hours=1)


@dataclass(slots=True)
class Deliverer:
    """Runs in every process.

    Args:
        channels: By name. What waits for one that is not among them is not touched.
        owner: Names this process.
    """

    outbox: Outbox
    channels: Mapping[str, Channel]
    routes: Routes
    clock: Clock
    owner: str
    _unnoted: set[str] = field(default_factory=set)
    _sending: asyncio.Lock = field(default_factory=asyncio.Lock)
    _forgot_at: datetime | None = None

    async def run(self) -> None:
        """Deliver until cancelled; then `finish`."""
        await for_ever("the delivery of alerts", self._step_and_wait)

    async def step(self) -> int:
        """Send what is due.

        Returns:
            How many notices were claimed.

        Raises:
            PolicyUnavailable: The database is away.
        """
        now = self.clock()
        # Once claimed, a batch is sent and noted to its end, also when the service stops meanwhile.
        return await asyncio.shield(self._batch(now))

    async def finish(self) -> None:
        """Wait for what is being sent when the service stops."""
        async with self._sending:
            pass

    async def _step_and_wait(self) -> None:
        if await self.step() < _AT_ONCE:
            await asyncio.sleep(_INTERVAL_S)
        await self._forget(self.clock())

    async def _batch(self, now: datetime) -> int:
        async with self._sending:
            await self._note_sent()
            claimed = await self.outbox.claim(
                self.channels.keys(), self.owner, now, now + _CLAIM, _AT_ONCE
            )
            by_channel: dict[str, list[Notice]] = {}
            for notice in claimed:
                by_channel.setdefault(notice.channel, []).append(notice)
            # Side by side, so that one that hangs holds up nobody else.
            await asyncio.gather(
                *(self._send_all(self.channels[name], some) for name, some in by_channel.items())
            )
            await self._note_sent()
        return len(claimed)

    async def _send_all(self, channel: Channel, notices: Sequence[Notice]) -> None:
        """One after the other, in their order; when one is not taken, the rest need not try."""
        fault = ""
        for notice in notices:
            if notice.id in self._unnoted:
                continue  # it was sent, and could not be noted
            if not fault:
                fault = await _fault_of(channel, notice)
                if not fault:
                    self._unnoted.add(notice.id)
                    continue
                _log.warning(
                    "the channel %s did not take %s, try %d: %s",
                    channel.name,
                    notice.id,
                    notice.attempts + 1,
                    fault,
                )
            await self._put_off(notice, fault)

    async def _put_off(self, notice: Notice, fault: str) -> None:
        again_at = self.clock() + timedelta(seconds=wait_s(notice.attempts + 1))
        due_at = self.routes.due_at(notice.channel, notice.incident.severity, again_at)
        try:
            await self.outbox.failed(notice, self.owner, due_at, fault)
        except PolicyUnavailable as outage:
            # Its claim runs out, and somebody tries again.
            _log.warning("%s could not be put off: %s", notice.id, outage)

    async def _note_sent(self) -> None:
        """Note what was sent; what cannot be noted now is not sent again by this process."""
        if self._unnoted:
            done = tuple(self._unnoted)
            await self.outbox.sent(done, self.clock())
            self._unnoted.difference_update(done)

    async def _forget(self, now: datetime) -> None:
        if self._forgot_at is None or now >= self._forgot_at + _FORGET_EVERY:
            self._forgot_at = now
            await self.outbox.forget(now - _KEPT)


async def _fault_of(channel: Channel, notice: Notice) -> str:
    """Send a notice; why it was not taken, or nothing."""
    try:
        async with asyncio.timeout(_SEND_TIMEOUT_S):
            await channel.send(notice)
    except TimeoutError:
        return "it took too long"
    except ChannelFailed as fault:
        return str(fault)
    except Exception as fault:  # noqa: BLE001 - the other channels must go on
        _log.exception("the channel %s stumbled", channel.name)
        return type(fault).__name__
    return ""
