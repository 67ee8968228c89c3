"""Spans of a plugin server's phases; none, unless `--traces` says where they go.

Like `measures` this is the process's: `begin` is called once, at the start. Where it is off, each
of these functions takes a look at a variable, and no tracing library is loaded.

Whose child a span is shows only on the way, when a phase has read the client's headers or what the
plugin before has handed it. So a phase says it with `enter` or `follow`; the span began when the
phase did. Ids, names, numbers: nothing of what a call says is ever noted.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Protocol

from kong_plugins._runtime.decision_ids import new_decision_id
from kong_plugins._runtime.events import PhaseEnded
from llm_core.errors import GatewayError
from llm_core.trace_context import parts

Facts = Mapping[str, str | int]

DECISION: Final = "gatehouse.decision.id"
TRANSPORT: Final = "gatehouse.transport"

_NOTHING: Final[AbstractContextManager[None]] = nullcontext()
_FIRST_FAILURE: Final = 500
"""A refusal is an answer; from this status on it is the gateway's own failure, or a provider's."""

_UNTRACED_PHASES: Final = frozenset({"log"})
"""What there is to see of it is the report that it spawns."""


@dataclass(frozen=True, slots=True)
class Trace:
    """The trace of a request, as the first plugin hands it on.

    Args:
        parent: `traceparent` of what all later spans are children of; `None` where there is none.
        decision_id: Of the decision to come, which gives the trace its id where nobody sent one.
    """

    parent: str | None = None
    decision_id: str | None = None


class StartedSpan(Protocol):
    """A span in the tracing library's hands."""

    @property
    def traceparent(self) -> str | None:
        """What names it to others."""
        ...

    def end(self, facts: Facts, failure: str | None) -> None:
        """It ends now; `failure` is a word."""
        ...


class Tracer(Protocol):
    """Starts spans."""

    def start(
        self, name: str, parent: str | None, decision_id: str | None, started_ns: int
    ) -> StartedSpan:
        """Start a span.

        Args:
            name: Behind the plugin's own.
            parent: A well formed `traceparent`; `None`: the span is the first of its trace.
            decision_id: Gives such a trace its id; by chance without.
            started_ns: Since 1970.
        """
        ...


class _Work:
    """A phase, or a report, that is being traced."""

    def __init__(self, tracer: Tracer, name: str) -> None:
        self._tracer, self._name = tracer, name
        self._started_ns = time.time_ns()
        self._span: StartedSpan | None = None
        self._facts: dict[str, str | int] = {}
        self._failure: str | None = None

    @property
    def traceparent(self) -> str | None:
        return None if self._span is None else self._span.traceparent

    def start(self, parent: str | None, decision_id: str | None) -> None:
        if self._span is None:
            self._span = self._tracer.start(self._name, parent, decision_id, self._started_ns)

    def note(self, facts: Facts) -> None:
        self._facts |= facts

    def fail(self, kind: str) -> None:
        self._failure = kind

    def end(self) -> None:
        # One that nobody has named a parent of did not come far, and is told all the same.
        self.start(None, None)
        assert self._span is not None  # noqa: S101 - it was started
        self._span.end(self._facts, self._failure)


class _Holder:
    """The process's tracer, once there is one."""

    current: Tracer | None = None


_work: ContextVar[_Work | None] = ContextVar("work", default=None)


def begin(tracer: Tracer | None) -> None:
    """Trace from now on; `None` ends it."""
    _Holder.current = tracer


def phase(name: str) -> AbstractContextManager[None]:
    """Around a phase's own code: what it raises is what became of it."""
    if _Holder.current is None or name in _UNTRACED_PHASES:
        return _NOTHING
    return _traced(_Holder.current, name)


def work(name: str) -> AbstractContextManager[None]:
    """Around something that gets a span."""
    return _NOTHING if _Holder.current is None else _traced(_Holder.current, name)


def are_made() -> bool:
    """Whether what is noted is kept."""
    return _work.get() is not None


def enter(came: str | None) -> Trace:
    """In the first plugin: the span is a child of what the client or Kong has sent, if anything.

    Args:
        came: The request's `traceparent`.

    Returns:
        What to hand on. Where nobody sent a trace, this span begins it.
    """
    doing = _work.get()
    if doing is None:
        return Trace(came)
    if parts(came) is not None:
        doing.start(came, None)
        return Trace(came)
    decision_id = new_decision_id()
    doing.start(None, decision_id)
    return Trace(doing.traceparent, decision_id)


def follow(came: str | None, decision_id: str) -> str | None:
    """In all others: the span is a child of what the plugin before has handed on.

    Args:
        came: `Trace.parent`; without, the span is the first of its decision's trace.
        decision_id: Of the call.

    Returns:
        What the next ones are to follow.
    """
    doing = _work.get()
    if doing is None:
        return came
    known = came if parts(came) is not None else None
    doing.start(known, decision_id)
    return known or doing.traceparent


def own(otherwise: str | None) -> str | None:
    """`traceparent` of this span, for whom it asks; `otherwise` where nothing is traced."""
    doing = _work.get()
    return otherwise if doing is None else doing.traceparent or otherwise


def note(facts: Facts) -> None:
    """Facts of this span: ids, names out of a list, numbers."""
    doing = _work.get()
    if doing is not None:
        doing.note(facts)


def refused(code: str, status: int) -> None:
    """The call is answered in the provider's place."""
    doing = _work.get()
    if doing is not None:
        _refuse(doing, code, status)


def failed(kind: str) -> None:
    """This did not work; `kind` is a word."""
    doing = _work.get()
    if doing is not None:
        doing.fail(kind)


@contextmanager
def _traced(tracer: Tracer, name: str) -> Iterator[None]:
    doing = _Work(tracer, name)
    token = _work.set(doing)
    try:
        yield
    except PhaseEnded:
        raise
    except GatewayError as error:
        _refuse(doing, error.code, error.http_status)
        raise
    except BaseException as fault:
        doing.fail(type(fault).__name__)
        raise
    finally:
        _work.reset(token)
        doing.end()


def _refuse(doing: _Work, code: str, status: int) -> None:
    doing.note({"gatehouse.refusal": code, "http.response.status_code": status})
    if status >= _FIRST_FAILURE:
        doing.fail(code)
