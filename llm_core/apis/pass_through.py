"""A stream in OpenAI's format for a client of OpenAI's format: passed on, not rewritten.

Only what must be known is parsed: everything up to the first word, what ends a choice, usage, and
errors. The rest goes through as the bytes that came.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from llm_core.apis.dialect import says_something
from llm_core.chat.chunk import fold
from llm_core.chat.encoding import decode_object
from llm_core.chat.sound import sound
from llm_core.errors import GatewayError, ProviderError, ProviderUnavailable, error_body
from llm_core.nesting import is_too_deep
from llm_core.providers.translator import StreamTranslator
from llm_core.sse import DONE, DONE_DATA, SseDecoder, SseEvent, encode_event
from llm_core.tokens.counted import texts_of
from llm_core.tokens.usage import TokenUsage

# Members, not words: inside a JSON text the quotes would be escaped.
_TELLING = re.compile(rb'"usage"\s*:\s*\{|"error"\s*:|"finish_reason"\s*:\s*"|"object"\s*:\s*"e')


_MOST_UNREAD_BYTES = 64 * 1024
_checked = msgspec.json.Decoder(msgspec.Raw).decode
"""Checks that a text is JSON and builds nothing."""


def _must_be_read(data: bytes) -> bool:
    if data == DONE_DATA or _TELLING.search(data) or is_too_deep(data):
        return True
    try:
        _checked(data)
    except msgspec.DecodeError:
        return True  # and found to be nonsense
    return False


@dataclass(slots=True)
class PassThroughStream:
    """Implements `ClientStream`.

    Args:
        reading: Reads the events that must be known.
        shows_usage: The client asked for the chunk with usage.
        is_kept: Remember the answer for `folded`.
    """

    reading: StreamTranslator
    shows_usage: bool
    is_kept: bool = False
    has_begun: bool = False
    _decoder: SseDecoder = field(default_factory=SseDecoder)
    _passed: list[bytes] = field(default_factory=list)
    _passed_bytes: int = 0
    _texts: list[str] = field(default_factory=list)
    _has_ended: bool = False
    _usage_chunk: dict[str, Any] | None = None
    _failure: ProviderError | None = None

    def feed(self, received: bytes) -> Sequence[bytes]:
        """Give the events that `received` completes; see `ClientStream.feed`.

        Events that came before an error in the same bytes are given first, and the error is raised
        by the next `feed` or by `finish`: how bytes were cut must not decide what a client sees.
        """
        self._raise_failure()
        try:
            received_events = self._decoder.feed(received)
        except ProviderError as failure:
            self._failure, received_events = failure, []
        events = self._taken(received_events)
        if not events:
            self._raise_failure()
        return events

    def finish(self) -> Sequence[bytes]:
        """Give the last events; see `ClientStream.finish`."""
        self._raise_failure()
        events = self._taken(
            [e for e in self._decoder.finish() if e.data == DONE_DATA or decode_object(e.data)]
        )
        self._raise_failure()
        self._note(self.reading.finish())
        if not self.reading.is_complete:
            raise ProviderUnavailable("The model provider broke the stream off.")
        self._has_ended = True
        if self._usage_chunk is not None and self.shows_usage:
            events.append(encode_event(msgspec.json.encode(self._usage_chunk)))
        return [*events, DONE]

    def failed(self, error: GatewayError) -> bytes:
        """Tell an error in the middle of the stream."""
        return encode_event(msgspec.json.encode(error_body(error)))

    @property
    def usage(self) -> TokenUsage:
        """As reported so far."""
        return self.reading.usage

    @property
    def served_model(self) -> str | None:
        """The model the provider says it uses."""
        return self.reading.served_model

    def texts(self) -> Sequence[str]:
        """What the model has said so far; only now is what was passed on parsed."""
        return [*self._texts, *(text for chunk in self._chunks() for text in texts_of(chunk))]

    def folded(self) -> dict[str, Any] | None:
        """The body that the same answer would have had; see `ClientStream.folded`."""
        if not (self.is_kept and self._has_ended):
            return None
        usage = [] if self._usage_chunk is None else [self._usage_chunk]
        return fold([*self._chunks(), *usage])

    def _taken(self, received: Sequence[SseEvent]) -> list[bytes]:
        events: list[bytes] = []
        for event in received:
            is_passed = True
            if not self.has_begun or _must_be_read(event.data):
                try:
                    is_passed = self._note(self.reading.feed(encode_event(event.data)))
                except ProviderError as failure:
                    self._failure = failure
                    break
            if is_passed:
                self._remember(event.data)
                events.append(encode_event(event.data))
        return events

    def _remember(self, data: bytes) -> None:
        """Keep what may have to be counted; of a long answer its words, which are a tenth of it."""
        self._passed.append(data)
        self._passed_bytes += len(data)
        if self._passed_bytes > _MOST_UNREAD_BYTES and not self.is_kept:
            self._texts = ["".join(self.texts())]
            self._passed.clear()
            self._passed_bytes = 0

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _note(self, chunks: Sequence[dict[str, Any]]) -> bool:
        """Look at what was parsed; true when it is the client's to see as it came."""
        for chunk in chunks:
            self.has_begun = self.has_begun or says_something(chunk)
            if not chunk.get("choices"):
                self._usage_chunk = chunk
        return any(chunk.get("choices") for chunk in chunks)

    def _chunks(self) -> list[dict[str, Any]]:
        return [sound(chunk) for data in self._passed if (chunk := decode_object(data)) is not None]
