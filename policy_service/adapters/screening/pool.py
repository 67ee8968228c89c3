"""The processes that look at words: started when needed, ended when late, started again."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from llm_core.errors import ScreeningUnavailable
from llm_core.screening.redact import Finding
from llm_core.screening.words import Word
from policy_service.adapters.making import made_in_thread
from policy_service.adapters.screening.lists import BrokenLists, read_lists
from policy_service.adapters.screening.process import ScreeningProcess
from policy_service.ports.screening import Guarded

_log = logging.getLogger(__name__)
_S_A_BYTE = 10 / 1_000_000
"""What a long question may take beside: twice what one of a megabyte takes."""
_found: "msgspec.json.Decoder[list[list[Finding]] | None]"
_found = msgspec.json.Decoder(list[list[Finding]] | None)
_guarded: "msgspec.json.Decoder[Guarded | None]"
_guarded = msgspec.json.Decoder(Guarded | None)


@dataclass(slots=True, eq=False)
class _Slot:
    """A place for one process; the lists that it has read."""

    process: ScreeningProcess | None = None
    content: Mapping[str, Any] | None = None

    def drop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process = None


class ScreeningPool:
    """Implements `Screener`. Use it within one event loop.

    A call waits as well for a process that is being started. A process that is late is ended: what
    it was asked may never come to an end.

    Args:
        content: Compliance's lists, checked at once.
        workers: How many processes at most; each takes some 120 MB.
        timeout_s: For a free process, and then for its answer; long questions get more.

    Raises:
        BrokenLists: The lists cannot be used; the message says why.
    """

    def __init__(
        self, content: Mapping[str, Any], *, workers: int = 1, timeout_s: float = 5.0
    ) -> None:
        """Start nothing yet."""
        read_lists(content)
        self._content = content
        self._timeout_s = timeout_s
        self._slots = [_Slot() for _ in range(workers)]
        self._idle: asyncio.LifoQueue[_Slot] = asyncio.LifoQueue()
        for slot in self._slots:
            self._idle.put_nowait(slot)
        self._is_closed = False
        self._asking: set[asyncio.Task[bytes | None]] = set()

    @property
    def pids(self) -> list[int]:
        """Of the processes that run now."""
        return [slot.process.pid for slot in self._slots if slot.process is not None]

    def use(self, content: Mapping[str, Any]) -> None:
        """Go by other lists from the next question on.

        Raises:
            BrokenLists: They cannot be used; the old ones stay.
        """
        read_lists(content)
        self._content = content

    async def find(self, texts: Sequence[str], kinds: Sequence[str]) -> list[list[Finding]]:
        """What is in each text; see `Screener.find`."""
        answer = await self._ask({"find": {"texts": texts, "kinds": kinds}})
        try:
            found = None if answer is None else _found.decode(answer)
        except msgspec.DecodeError:
            found = None
        if found is None or len(found) != len(texts):
            raise _unavailable()
        return found

    async def guard(self, profile: str, words: Sequence[Word]) -> Guarded:
        """What a profile says; see `Screener.guard`."""
        told = [(word.text, word.source.value) for word in words]
        answer = await self._ask({"guard": {"profile": profile, "words": told}})
        try:
            guarded = None if answer is None else _guarded.decode(answer)
        except msgspec.DecodeError:
            guarded = None
        if guarded is None:
            raise _unavailable()
        return guarded

    async def start(self) -> None:
        """Start one process now, so that the first call need not wait for it.

        Raises:
            ScreeningUnavailable: It does not come up.
        """
        await self.find([""], ())

    async def close(self) -> None:
        """End the processes; every later question is `ScreeningUnavailable`."""
        self._is_closed = True
        for slot in self._slots:
            slot.drop()
        await asyncio.gather(*self._asking, return_exceptions=True)

    async def _ask(self, question: Mapping[str, Any]) -> bytes | None:
        # A question whose asker has gone is asked to its end: its answer must not be read by the
        # next one.
        asking = asyncio.create_task(self._answer(msgspec.json.encode(question)))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        return await asyncio.shield(asking)

    async def _answer(self, question: bytes) -> bytes | None:
        try:
            async with asyncio.timeout(self._timeout_s):
                slot = await self._idle.get()
        except TimeoutError:
            _log.warning("screening: no process was free in time")
            return None
        try:
            process = await self._running(slot)
            async with asyncio.timeout(self._timeout_s + _S_A_BYTE * len(question)):
                return await process.ask(question)
        except (OSError, EOFError, BrokenLists) as fault:  # TimeoutError is an OSError
            slot.drop()
            if not self._is_closed:
                _log.warning("screening: a process failed: %s", type(fault).__name__)
            return None
        except BaseException:
            slot.drop()
            raise
        finally:
            self._idle.put_nowait(slot)

    async def _running(self, slot: _Slot) -> ScreeningProcess:
        """The slot's process, started if it has none that lives and has read the lists of now."""
        if slot.process is not None and slot.process.is_alive and slot.content is self._content:
            return slot.process
        slot.drop()
        content = self._content
        process = await made_in_thread(lambda: ScreeningProcess(content), ScreeningProcess.kill)
        if self._is_closed:
            process.kill()
            raise ConnectionError("closed")
        slot.process, slot.content = process, content
        return process


def _unavailable() -> ScreeningUnavailable:
    return ScreeningUnavailable("The call could not be screened, so it went no further.")
