"""Anthropic's stream for a client of Anthropic's: passed on, not rewritten.

Only what must be known is parsed: the beginning, usage, the end, and errors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llm_core.apis.messages.failures import error_event
from llm_core.apis.messages.fold import folded
from llm_core.chat.encoding import decode_object
from llm_core.errors import GatewayError, ProviderError, ProviderUnavailable
from llm_core.providers.anthropic.response import message_from_anthropic
from llm_core.providers.anthropic.stream import AnthropicStream
from llm_core.sse import SseDecoder, SseEvent, encode_event
from llm_core.tokens.counted import texts_of
from llm_core.tokens.usage import TokenUsage

# Read as they come; blocks are passed on unread.
_TELLING = ("message_start", "message_delta", "message_stop", "error")
_BLOCKS = ("content_block_start", "content_block_delta", "content_block_stop")


@dataclass(slots=True)
class NativeStream:
    """Implements `ClientStream`.

    An error behind events in the same bytes is raised by the next `feed` or by `finish`: how bytes
    were cut must not decide what a client sees.

    Args:
        reading: Reads the events that must be known.
        is_kept: Whether `folded` will be asked for.
    """

    reading: AnthropicStream
    is_kept: bool
    has_begun: bool = False
    _decoder: SseDecoder = field(default_factory=SseDecoder)
    _passed: list[bytes] = field(default_factory=list)
    _failure: ProviderError | None = None
    _has_ended: bool = False

    def feed(self, received: bytes) -> Sequence[bytes]:
        """Give the events that `received` completes; see `ClientStream.feed`."""
        self._raise_failure()
        try:
            sent = self._decoder.feed(received)
        except ProviderUnavailable as failure:
            self._failure = failure
            sent = []
        events = self._taken(sent)
        if not events:
            self._raise_failure()
        return events

    def finish(self) -> Sequence[bytes]:
        """Give the last events; see `ClientStream.finish`."""
        self._raise_failure()
        events = self._taken([e for e in self._decoder.finish() if decode_object(e.data)])
        if self._failure is None and not self.reading.is_complete:
            self._failure = ProviderUnavailable("The model provider broke the stream off.")
        self._raise_failure()
        self._has_ended = True
        return events

    def failed(self, error: GatewayError) -> bytes:
        """Tell an error in the middle of the stream."""
        return error_event(error)

    @property
    def usage(self) -> TokenUsage:
        """As reported so far."""
        return self.reading.usage

    @property
    def served_model(self) -> str | None:
        """The model Anthropic says it uses."""
        return self.reading.served_model

    def texts(self) -> Sequence[str]:
        """What the model has said so far; only now is what was passed on parsed."""
        said = message_from_anthropic(self._message())
        return texts_of({"choices": [{"message": said}]})

    def folded(self) -> dict[str, Any] | None:
        """The message that the same answer would have been; see `ClientStream.folded`."""
        return self._message() if self.is_kept and self._has_ended else None

    def _taken(self, received: Sequence[SseEvent]) -> list[bytes]:
        events: list[bytes] = []
        for event in received:
            if self._failure is not None or self.reading.is_complete:
                break
            kind = event.event or _kind_of(event.data)
            if kind not in _BLOCKS:
                self._read(event.data, kind)
                if self._failure is not None:
                    break
            self.has_begun = self.has_begun or kind in ("content_block_delta", "message_delta")
            self._passed.append(event.data)
            events.append(encode_event(event.data, kind))
        return events

    def _read(self, data: bytes, kind: str) -> None:
        if kind not in _TELLING and decode_object(data) is not None:
            return
        try:
            self.reading.feed(encode_event(data))
            # Without a chunk to give, what went wrong is raised by the next.
            self.reading.feed(b"")
        except ProviderError as failure:
            self._failure = failure

    def _message(self) -> dict[str, Any]:
        events = (decode_object(data) for data in self._passed)
        return folded(event for event in events if event is not None)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


def _kind_of(data: bytes) -> str:
    event: Mapping[str, Any] = decode_object(data) or {}
    kind = event.get("type")
    return kind if isinstance(kind, str) else ""
