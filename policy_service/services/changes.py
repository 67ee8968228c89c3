"""Follows the audit log, and tells whoever listens what to forget.

Every change of what a caller is or may do is in the audit log, written in its own transaction. Each
process of the service reads its newest entries again and again, and at once when it is woken.

Entries get their numbers when they are written and are seen when they are committed, so a follower
meets some late: it reads a stretch of numbers again each time, and drops what it has seen. Whoever
comes late may have brought others from before that stretch along, so a late one means "anything".
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from llm_core.errors import PolicyUnavailable
from llm_core.ids import is_id
from policy_service.ports.changes import Change, ChangeKind, ChangeLog, Logged, Wakes

POLL_S = 0.3
_READ_AGAIN = 200
_AT_ONCE = 1000
_BACK_OFF_S = 1.0
_MOST_WAITING = 1000
_EVERYBODY = Change(ChangeKind.ALL)
_APPROVALS = Change(ChangeKind.APPROVALS)
_NOT_OF_CALLERS = ("admin_token", "chargeback", "content", "erasure", "report")
"""Kinds of subjects of which no caller is made."""

_CHANGES_NOTHING = ("sign_in", "privacy.export")

_log = logging.getLogger(__name__)


class Listener:
    """What one listener has not been told yet."""

    def __init__(self) -> None:
        self._waiting: dict[Change, None] = {}
        self._came = asyncio.Event()
        self._is_over = False

    def tell(self, changes: Iterable[Change]) -> None:
        """Leave changes for the listener; one who is slow is told "everybody" instead of a list."""
        self._waiting.update(dict.fromkeys(changes))
        if len(self._waiting) > _MOST_WAITING:
            self._waiting = {_EVERYBODY: None}
        self._came.set()

    def end(self) -> None:
        """There will be no more."""
        self._is_over = True
        self._came.set()

    async def next(self, within_s: float) -> tuple[Change, ...] | None:
        """Wait for changes; nothing when none came in time, `None` when there will be no more."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._came.wait()
        self._came.clear()
        if self._is_over:
            return None
        told = tuple(self._waiting)
        self._waiting.clear()
        return told


@dataclass(slots=True)
class Changes:
    """One process's view of what was changed.

    Args:
        log: The audit log.
        wakes: How processes wake each other; `None` where there is but one, or no Redis.
        poll_s: How often to look without having been woken.
    """

    log: ChangeLog
    wakes: Wakes | None = None
    poll_s: float = POLL_S
    _listeners: set[Listener] = field(default_factory=set)
    _seen: set[int] = field(default_factory=set)
    _newest: int | None = None
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _is_over: bool = False
    _is_blind: bool = False

    @contextmanager
    def listening(self) -> Iterator[Listener]:
        """Listen from now on."""
        listener = Listener()
        if self._is_over:
            listener.end()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    async def announce(self) -> None:
        """Something was changed and committed here: have everybody look at once."""
        self._woken.set()
        if self.wakes is not None:
            await self.wakes.send()

    def end(self) -> None:
        """End every listener's wait: the process is about to stop."""
        self._is_over = True
        for listener in self._listeners:
            listener.end()

    async def run(self) -> None:
        """Follow the log until cancelled; an outage is waited out."""
        waking = None if self.wakes is None else asyncio.create_task(self._be_woken(self.wakes))
        try:
            while True:
                wait_s = await self._look_safely()
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._woken.wait()
                self._woken.clear()
        finally:
            if waking is not None:
                waking.cancel()
                await asyncio.gather(waking, return_exceptions=True)

    async def look(self) -> None:
        """Read what is new, and tell the listeners.

        Raises:
            PolicyUnavailable: The database failed; the next look finds what this one did not.
        """
        if self._newest is None:
            start = await self.log.newest(_READ_AGAIN)
            self._newest = max((one.seq for one in start), default=0)
            self._seen = {one.seq for one in start}
            return
        again = self._newest - _READ_AGAIN
        found = [one for one in await self.log.after(again, _AT_ONCE) if one.seq not in self._seen]
        if not found:
            return
        changes = _changes_in(found)
        if any(one.seq < self._newest for one in found):
            changes.append(_EVERYBODY)
        self._newest = max(self._newest, *(one.seq for one in found))
        self._seen |= {one.seq for one in found}
        self._seen = {seq for seq in self._seen if seq > self._newest - _READ_AGAIN}
        for listener in self._listeners:
            listener.tell(changes)

    async def _look_safely(self) -> float:
        """Look once; gives the seconds until the next look."""
        try:
            await self.look()
        except PolicyUnavailable as outage:
            if not self._is_blind:
                _log.warning("changes cannot be followed for now: %s", outage)
            self._is_blind = True
            return _BACK_OFF_S
        except Exception:  # noqa: BLE001 - the work must go on, whatever the fault
            _log.exception("following changes stumbled and goes on")
            return _BACK_OFF_S
        self._is_blind = False
        return self.poll_s

    async def _be_woken(self, wakes: Wakes) -> None:
        async for _ in wakes.received():
            self._woken.set()


def _changes_in(found: Iterable[Logged]) -> list[Change]:
    changes: dict[Change, None] = {}
    for one in found:
        kind, _, rest = one.subject.partition(":")
        if kind == "key" and is_id("key", rest):
            changes[Change(ChangeKind.KEY, rest)] = None
        elif kind == "approval":
            changes[_APPROVALS] = None
        elif kind not in _NOT_OF_CALLERS and one.action not in _CHANGES_NOTHING:
            changes[_EVERYBODY] = None
    return list(changes)
