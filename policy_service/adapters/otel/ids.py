"""A decision's span has the ids that its decision id gives it.

So the relay, and whoever books a direct call later, can name it as the parent of what they do: no
context has to travel with the ticket.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator

from llm_core.trace_context import ids_of


class DecisionIds(IdGenerator):
    """Random ids, but within `of`. A span is started in one step, so that nobody comes between."""

    def __init__(self) -> None:
        self._random = RandomIdGenerator()
        self._fixed: tuple[int, int] | None = None

    @contextmanager
    def of(self, decision_id: str) -> Iterator[None]:
        """The next span is this decision's."""
        trace, span = ids_of(decision_id)
        self._fixed = int(trace, 16), int(span, 16)
        try:
            yield
        finally:
            self._fixed = None

    def generate_span_id(self) -> int:
        """See `IdGenerator`."""
        return self._random.generate_span_id() if self._fixed is None else self._fixed[1]

    def generate_trace_id(self) -> int:
        """See `IdGenerator`; asked only where there is no parent."""
        return self._random.generate_trace_id() if self._fixed is None else self._fixed[0]
