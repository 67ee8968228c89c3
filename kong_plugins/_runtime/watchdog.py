"""A thread that looks after the process from outside the event loop.

It ends the process when its parent is gone, as kong-pdk's does: Kong's next worker starts a server
of its own. And it notices a phase that blocks the loop. Then nobody can keep a deadline, and Kong
would proxy what it waits for; so this thread answers the open events itself and ends the process,
which Kong starts again. Code that never lets go of Python's lock stops this thread as well.
"""

import asyncio
import contextlib
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

from kong_plugins._runtime import guard, logs, wire
from kong_plugins._runtime.events import Event, EventTable
from kong_plugins._runtime.faults import places_of
from kong_plugins._runtime.server import KongConnection

BLOCKED_EXIT_CODE: Final = os.EX_TEMPFAIL

_TICK_S: Final = 0.2
_BEAT_S: Final = 0.2
_STALE_TICKS: Final = 5  # counted, not timed: a process that was stopped has not been blocked
_LAST_GRACE_S: Final = 5.0

_log = logging.getLogger(__name__)


class Watchdog(threading.Thread):
    """Made and started on the loop's own thread.

    Args:
        parent_pid: Whose end is ours; `None` for nobody's.
        on_orphaned: Called on the loop when the parent is gone.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        events: EventTable,
        handler: logs.PipeHandler,
        *,
        parent_pid: int | None,
        on_orphaned: Callable[[], None],
    ) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._loop = loop
        self._loop_thread_id = threading.get_ident()
        self._events = events
        self._handler = handler
        self._parent_pid = parent_pid
        self._on_orphaned = on_orphaned
        self._stopped = threading.Event()
        self._beats = 0
        self._beat()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    def run(self) -> None:
        """Look every fifth of a second."""
        seen_beats, stale_ticks = -1, 0
        while not self._stopped.wait(_TICK_S):
            if self._parent_pid is not None and os.getppid() != self._parent_pid:
                self._loop.call_soon_threadsafe(self._on_orphaned)
                end_for_certain(0)
                return
            stale_ticks = stale_ticks + 1 if self._beats == seen_beats else 0
            seen_beats = self._beats
            if stale_ticks >= _STALE_TICKS and self._has_overdue_event():
                self._rescue()

    def _beat(self) -> None:
        self._beats += 1
        self._loop.call_later(_BEAT_S, self._beat)

    def _has_overdue_event(self) -> bool:
        now = time.monotonic()  # the loop's clock is the same one
        return any(event.deadline < now for event in self._events.all())

    def _rescue(self) -> None:
        """Answer every open event from here, and end the process."""
        place = places_of(sys._current_frames().get(self._loop_thread_id))
        _log.critical("a phase blocks the event loop; the process ends. It is at %s", place)
        packer = wire.Packer()
        for event in self._events.all():
            _answer_closed(event, packer)
        self._handler.stop(0.5)
        os._exit(BLOCKED_EXIT_CODE)


def end_for_certain(exit_code: int) -> None:
    """End the process in a few seconds, whatever it still waits for."""
    timer = threading.Timer(_LAST_GRACE_S, os._exit, (exit_code,))
    timer.daemon = True
    timer.start()


def _answer_closed(event: Event, packer: wire.Packer) -> None:
    if event.reply is None:
        return
    connection, message_id = event.reply
    if not isinstance(connection, KongConnection) or connection.has_unsent_bytes:
        return
    data = guard.lost_event(was_log=event.phase == "log")
    message = packer.pack([1, message_id, None, {"EventId": event.id, "Data": data}])
    with (
        contextlib.suppress(OSError),
        socket.socket(fileno=os.dup(connection.file_descriptor)) as s,
    ):
        s.send(message, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
