"""What a thread makes is ended when nobody waits for it any more."""

import asyncio
import threading

import pytest

from policy_service.adapters.making import made_in_thread
from policy_service.adapters.policies.trial import compiled
from policy_service.adapters.policy_bundle import load_bundle
from policy_service.adapters.regopy_process import RegopyProcess
from tests.fixtures.policies import REGO


class Machine:
    """Comes into being when it may, and can be ended."""

    def __init__(self, may_be: threading.Event) -> None:
        """Wait."""
        may_be.wait()
        self.ended = threading.Event()


async def test_what_is_made_is_handed_over() -> None:
    now = threading.Event()
    now.set()
    machine = await made_in_thread(lambda: Machine(now), lambda made: made.ended.set())
    assert not machine.ended.is_set()


async def test_a_fault_is_the_callers() -> None:
    def make() -> None:
        raise OSError("no more processes")

    with pytest.raises(OSError, match="no more processes"):
        await made_in_thread(make, lambda made: None)


@pytest.mark.parametrize("is_made_first", [True, False])
async def test_what_nobody_waits_for_is_ended(is_made_first: bool) -> None:
    may_be, done = threading.Event(), threading.Event()
    ended: asyncio.Queue[Machine] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def make() -> Machine:
        try:
            return Machine(may_be)
        finally:
            done.set()

    def end(made: Machine) -> None:
        loop.call_soon_threadsafe(ended.put_nowait, made)

    making = asyncio.create_task(made_in_thread(make, end))
    await asyncio.sleep(0)
    if is_made_first:
        # Made in the same turn of the loop that cancels: neither side may drop it.
        may_be.set()
        done.wait()
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    may_be.set()
    async with asyncio.timeout(5):
        await ended.get()
    assert ended.empty()


async def test_a_policy_that_is_no_longer_wanted_leaves_no_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    killed = asyncio.Event()
    loop = asyncio.get_running_loop()
    kill = RegopyProcess.kill

    def noting(self: RegopyProcess) -> str:
        said = kill(self)
        loop.call_soon_threadsafe(killed.set)
        return said

    monkeypatch.setattr(RegopyProcess, "kill", noting)
    trying = asyncio.create_task(compiled(load_bundle(REGO)))
    await asyncio.sleep(0.05)
    trying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trying
    async with asyncio.timeout(30):
        await killed.wait()
