"""Which call is being worked on: for log lines and traces, wherever they arise.

Set where a request comes in, and inherited by every task that it starts.
"""

from contextvars import ContextVar

from llm_core.trace_context import ids_of, parts

decision_id: ContextVar[str | None] = ContextVar("decision_id", default=None)
traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""As the plugin that asks sent it, or through the relay the client or Kong."""


def trace_id() -> str | None:
    """The trace that is being worked on; `None` outside of any."""
    found = parts(traceparent.get())
    if found is not None:
        return found[0]
    decision = decision_id.get()
    return None if decision is None else ids_of(decision)[0]
