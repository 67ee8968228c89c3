"""The life of an event: one phase of one request, from `HandleEvent` to the last answer.

Kong and the plugin take turns. Kong asks (`HandleEvent`) and waits. The answer is either what the
plugin wants from Kong (a PDK call) or the end. Kong carries the call out and asks again (`Step*`)
with what came of it, over whatever connection its pool gives it. So an event owes Kong an answer
exactly while it has a `_reply` to write to, and waits for Kong exactly while it has an `_executing`
call. An event belongs to the process, not to a connection.

    HandleEvent ─► phase runs ─► PDK call ─► Step ─► phase runs ─► ... ─► "ret" or an `exit`

An event is closed when its final answer is out and its phase has left, or at its deadline,
whichever comes first. What it has not answered by then is answered for it, in `guard.py`.
"""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from kong_pdk.exception import PDKException

from kong_plugins._runtime import pdk_calls, wire
from kong_plugins._runtime.instances import RunningInstance

RETURN = "ret"
"""The answer that says that a phase is over and Kong may go on."""

_RECANCEL_S = 0.5
_MOST_RECANCELS = 10

_log = logging.getLogger(__name__)


class PhaseEnded(BaseException):
    """The event has its final answer: the phase ends here, and only its `finally` blocks run.

    No `Exception`, so that a phase's own `except Exception` does not stop it.
    """


class UnaskedStep(Exception):
    """A Step came although the event waits for none."""


class Connection(Protocol):
    """Where an answer is written to."""

    def answer(self, message_id: int, result: object) -> None:
        """Write the answer to a request.

        Raises:
            TypeError: MessagePack has no form for something in it.
        """
        ...


class Event:
    """One phase of one request.

    Args:
        event_id: Unique for the life of the process and, but for chance, of the one before it.
        deadline: In `loop.time()`; Kong has its final answer by then.
    """

    __slots__ = (
        "_executing",
        "_final",
        "_loop",
        "_reply",
        "_unsent",
        "deadline",
        "id",
        "instance",
        "phase",
        "phase_has_left",
        "task",
    )

    def __init__(
        self,
        event_id: int,
        phase: str,
        instance: RunningInstance,
        deadline: float,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.id = event_id
        self.phase = phase
        self.instance = instance
        self.deadline = deadline
        self.task: asyncio.Task[None] | None = None
        self.phase_has_left = False
        self._loop = loop
        self._reply: tuple[Connection, int] | None = None
        self._executing: tuple[str, asyncio.Future[Any]] | None = None
        self._unsent: deque[tuple[str, list[Any], asyncio.Future[Any]]] = deque()
        self._final: object = None

    @property
    def has_final_answer(self) -> bool:
        """Whether the answer that ends the event is known; no PDK call can be made any more."""
        return self._final is not None

    @property
    def reply(self) -> tuple[Connection, int] | None:
        """Where Kong waits for an answer and for which message, when it does."""
        return self._reply

    @property
    def is_closed(self) -> bool:
        """Whether nothing is left to do: the final answer is out, and the phase has left."""
        return self.phase_has_left and self._final is not None and self._executing is None

    # --- the plugin's side ------------------------------------------------------------------------

    def call(self, method: str, args: list[Any]) -> "asyncio.Future[Any]":
        """Ask Kong to carry out a PDK call; calls made at once are carried out one by one.

        Raises:
            PhaseEnded: The call ends the phase, or something has ended it before.
        """
        if self._final is not None:
            raise PhaseEnded
        if method in pdk_calls.ENDING_CALLS:
            self.finish({"Method": method, "Args": args})
            raise PhaseEnded
        future = self._loop.create_future()
        if self._reply is None:
            self._unsent.append((method, args, future))
        else:
            self._send_call(method, args, future)
        return future

    def finish(self, final: object) -> None:
        """Give the final answer, once; what comes later changes nothing.

        While Kong is still carrying out a call the answer waits for its Step. Calls that were made
        but not yet sent go out before a `ret`, and are dropped before anything else.
        """
        if self._final is not None:
            return
        # Whether MessagePack can carry it shows now, while another answer can still be given.
        if self._reply is not None:
            self._write(final)
        else:
            wire.Packer().pack([final])
        self._final = final
        if final != RETURN:
            self._unsent.clear()

    # --- Kong's side ------------------------------------------------------------------------------

    def begin(self, connection: Connection, message_id: int) -> None:
        """Remember where `HandleEvent` is to be answered."""
        self._reply = connection, message_id

    def step(self, connection: Connection, message_id: int, value: object) -> None:
        """Take what came of the call that Kong was carrying out.

        Raises:
            UnaskedStep: It was carrying out none.
        """
        method, future = self._take_executing(connection, message_id)
        if not future.done():  # the phase may have stopped waiting for it
            try:
                future.set_result(pdk_calls.result(method, value))
            except PDKException as error:
                future.set_exception(error)
        self._go_on()

    def step_error(self, connection: Connection, message_id: int, value: object) -> None:
        """Take the error that came of it.

        Raises:
            UnaskedStep: Kong was carrying out no call.
        """
        method, future = self._take_executing(connection, message_id)
        if not future.done():
            future.set_exception(PDKException(f"exception from {method}: {value}"))
        self._go_on()

    def lose(self) -> None:
        """Kong's connection broke while it waited for us: no answer can reach it any more.

        A request that nobody waits for is not worth going on with. A `log` phase is: it reports
        what was used, and has read what it needs from Kong by then.
        """
        self._reply = None
        self._final = self._final or RETURN
        self._unsent.clear()
        if self.phase != "log" and self.task is not None:
            self.task.cancel()

    # --- in between -------------------------------------------------------------------------------

    def _take_executing(
        self, connection: Connection, message_id: int
    ) -> tuple[str, "asyncio.Future[Any]"]:
        if self._executing is None:
            raise UnaskedStep
        executing, self._executing = self._executing, None
        self._reply = connection, message_id
        return executing

    def _go_on(self) -> None:
        while self._unsent:
            method, args, future = self._unsent.popleft()
            if future.done():  # given up before it was sent
                continue
            try:
                self._send_call(method, args, future)
            except (TypeError, ValueError, OverflowError) as error:
                future.set_exception(error)
            else:
                return
        if self._final is not None:
            self._write(self._final)

    def _send_call(self, method: str, args: list[Any], future: "asyncio.Future[Any]") -> None:
        self._write({"Method": method, "Args": args})
        self._executing = method, future

    def _write(self, data: object) -> None:
        assert self._reply is not None  # noqa: S101 - every caller has looked
        connection, message_id = self._reply
        connection.answer(message_id, {"EventId": self.id, "Data": data})
        self._reply = None


class EventTable:
    """The open events of this process.

    Args:
        expire: Gives an overdue event its final answer.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, expire: Callable[[Event], None]) -> None:
        self._loop = loop
        self._expire = expire
        self._events: dict[int, Event] = {}
        self._timer: asyncio.TimerHandle | None = None
        # Not from zero: a Step meant for the process before this one must not find an event here.
        self._next_number = secrets.randbits(30)
        self._lingering: dict[asyncio.Task[None], int] = {}

    def __len__(self) -> int:
        return len(self._events)

    @property
    def lingering_count(self) -> int:
        """Phases that were cancelled and have not ended yet."""
        return len(self._lingering)

    def open(self, phase: str, instance: RunningInstance) -> Event:
        """Start an event's life."""
        number = self._next_number
        self._next_number = number + 1
        deadline = self._loop.time() + instance.event_deadline_s
        event = Event(number * 2 + (phase == "log"), phase, instance, deadline, self._loop)
        self._events[event.id] = event
        self._arm(deadline)
        return event

    def get(self, event_id: object) -> Event | None:
        """Find an open event."""
        return self._events.get(event_id) if isinstance(event_id, int) else None

    def all(self) -> tuple[Event, ...]:
        """Every open event; safe to call from another thread."""
        return tuple(self._events.values())

    def close_if_done(self, event: Event) -> None:
        """Forget the event once nothing is left to do."""
        if event.is_closed:
            self._events.pop(event.id, None)

    def expire(self, event: Event) -> None:
        """Answer for the event, cancel its phase and forget it."""
        self._events.pop(event.id, None)
        self._expire(event)
        task = event.task
        if task is not None and not task.done():
            self._lingering[task] = 0
            task.add_done_callback(self._has_ended)
            task.cancel()

    def _has_ended(self, task: asyncio.Task[None]) -> None:
        self._lingering.pop(task, None)

    def _arm(self, when: float) -> None:
        """Have `_sweep` called by then: one timer for all events, for a timer each costs more."""
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        # The loop's clock has whole milliseconds: without the slack it would fire just too early.
        now = self._loop.time() + 0.001
        for event in [event for event in self._events.values() if event.deadline <= now]:
            self.expire(event)
        self._cancel_again()
        if self._events:
            self._arm(max(now, min(event.deadline for event in self._events.values())))
        if self._lingering:
            self._arm(now + _RECANCEL_S)

    def _cancel_again(self) -> None:
        """A phase may swallow a cancellation, so it gets more than one; a stubborn one stays."""
        for task, tries in list(self._lingering.items()):
            if tries == _MOST_RECANCELS:
                del self._lingering[task]
                _log.error("a phase cannot be cancelled and runs on without an event")
            else:
                self._lingering[task] = tries + 1
                if tries:
                    task.cancel()


def is_log(event_id: object) -> bool:
    """Whether an event, perhaps long forgotten, was a `log` phase."""
    return isinstance(event_id, int) and event_id % 2 == 1
