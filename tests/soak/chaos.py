"""Does to the stack what the schedule says, and mends it."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from tests.soak.faults import PLUGINS, Blow, Fault, Part, Trouble
from tests.soak.kernel import signal_all, started_by
from tests.soak.stack import Stack

AFTERMATH_S = 5.0
"""So long after it is mended a fault may still be felt: breakers are open, pools have dead
connections, what was started again is slow at its first calls."""
_KONG_RESTARTS_S = 30.0
Mend = Callable[[], Awaitable[None]]


@dataclass
class Chaos:
    """Strikes and mends.

    Args:
        tell: Is told of each fault.
        troubles: When something was out of order, by `time.monotonic`.
        kills_s: When processes of the policy service were killed.
    """

    stack: Stack
    tell: Callable[[str], object]
    troubles: list[Trouble] = field(default_factory=list)
    kills_s: list[float] = field(default_factory=list)
    done: int = 0

    async def follow(self, faults: Sequence[Fault]) -> None:
        """Do all of them, each at its time."""
        start_s = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for fault in faults:
                await asyncio.sleep(start_s + fault.at_s - time.monotonic())
                group.create_task(self._do(fault))

    async def _do(self, fault: Fault) -> None:
        self.tell(str(fault))
        struck_s = time.monotonic()
        # Open-ended, until it is known when the stack was whole again.
        self.troubles.append(Trouble(struck_s, float("inf"), fault.part))
        place = len(self.troubles) - 1
        try:
            mend = await self._strike(fault)
            try:
                await asyncio.sleep(fault.lasts_s)
            except asyncio.CancelledError:
                self.stack.is_ending = True
                raise
            finally:
                await _to_its_end(mend)
        finally:
            self.troubles[place] = Trouble(struck_s, time.monotonic() + AFTERMATH_S, fault.part)
        self.done += 1

    async def _strike(self, fault: Fault) -> Mend:
        stack, part = self.stack, fault.part
        wire = stack.wires.get(part)
        if wire is not None:
            match fault.blow:
                case Blow.CUT:
                    wire.cut()
                case Blow.SILENCE:
                    wire.silence()
                case _:
                    wire.slow(fault.slowed_s)
            return _at_once(wire.mend)
        if fault.blow is Blow.PAUSE:
            return await self._paused(part)
        return await self._killed(part)

    async def _paused(self, part: Part) -> Mend:
        pid = self.stack.pid_of(part)
        if pid is None:  # it is just being started again
            return _at_once(lambda: None)
        paused = await asyncio.to_thread(started_by, pid)
        signal_all(pid, signal.SIGSTOP)

        def go_on() -> None:
            for one in paused:
                with suppress(ProcessLookupError):
                    os.kill(one, signal.SIGCONT)

        return _at_once(go_on)

    async def _killed(self, part: Part) -> Mend:
        stack = self.stack
        match part:
            case Part.REDIS:
                stack.redis.stop()
                return _in_thread(stack.redis.start)
            case Part.OPA:
                stack.opa.stop()
                return _in_thread(stack.opa.start)
            case Part.POSTGRES:
                # As a crash: what is not on disk is read from the log again.
                os.kill(stack.postgres.pid, signal.SIGQUIT)
                await asyncio.to_thread(stack.postgres.stop)
                return _in_thread(stack.postgres.start)
            case _ if part in PLUGINS:
                before = stack.pid_of(part)
                if before is not None:
                    os.kill(before, signal.SIGKILL)
                return _in_thread(lambda: self._wait_for_kong(part, before))
            case _:
                if part in (Part.POLICY_1, Part.POLICY_2):
                    self.kills_s.append(time.monotonic())
                await asyncio.to_thread(stack.kill, part)
                return _in_thread(lambda: stack.start(part))

    def _wait_for_kong(self, part: Part, before: int | None) -> None:
        until_s = time.monotonic() + _KONG_RESTARTS_S
        while self.stack.pid_of(part) in (None, before):
            if time.monotonic() > until_s:
                raise RuntimeError(f"{part} was not started again")
            time.sleep(0.05)


async def _to_its_end(mend: Mend) -> None:
    """Mend, also when cancelled meanwhile: a thread that starts something cannot be left."""
    mending = asyncio.ensure_future(mend())
    try:
        await asyncio.shield(mending)
    except asyncio.CancelledError:
        await mending
        raise


def _in_thread(work: Callable[[], None]) -> Mend:
    """What waits until a process is there."""
    return lambda: asyncio.to_thread(work)


def _at_once(work: Callable[[], None]) -> Mend:
    async def mend() -> None:
        work()

    return mend
