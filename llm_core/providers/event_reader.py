"""What all readers of server-sent events share: an error waits until what came before it is given.

When an error comes behind good events in the same bytes, those are given first and the error is
raised by the next `feed` or by `finish`: how bytes were cut must not decide what a client sees.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from llm_core.chat.encoding import decode_object
from llm_core.errors import ProviderError, ProviderUnavailable
from llm_core.sse import SseDecoder, SseEvent

T = TypeVar("T")


class EventReader(ABC, Generic[T]):
    """Decodes a stream and gives what its events make; a subclass says what that is."""

    def __init__(self) -> None:
        """Start with nothing read."""
        self._decoder = SseDecoder()
        self._failure: ProviderError | None = None

    def feed(self, received: bytes) -> Sequence[T]:
        """Give what `received` completes.

        Raises:
            ProviderError: The provider reports an error, or sends nonsense.
        """
        self._raise_failure()
        try:
            events = self._decoder.feed(received)
        except ProviderUnavailable as failure:
            self._failure = failure
            events = []
        return self._or_raise(self._read(events))

    def finish(self) -> Sequence[T]:
        """Say that the stream has ended; give what was held back.

        Raises:
            ProviderError: The provider had reported one behind its last events.
        """
        self._raise_failure()
        return self._or_raise(self._read([e for e in self._decoder.finish() if self._is_whole(e)]))

    def _is_whole(self, last: SseEvent) -> bool:
        """Whether a last event without its blank line is one all the same, and was not cut off."""
        return bool(decode_object(last.data))

    @abstractmethod
    def _read(self, events: Sequence[SseEvent]) -> list[T]:
        """Give what the events make, up to the first that is an error: that is set as failure."""

    def _or_raise(self, given: list[T]) -> list[T]:
        if not given:
            self._raise_failure()
        return given

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
