"""A stream of the Responses API for a client of the same: passed on, not rewritten.

Only the first event, the last one and errors are parsed. The rest goes through as the bytes that
came, under the names that they came with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llm_core.apis.responses.dialect import Numbered
from llm_core.apis.responses.output import texts_of_item, usage_from_response
from llm_core.chat.encoding import decode_object
from llm_core.errors import GatewayError, ProviderError, ProviderUnavailable
from llm_core.providers.failures import Reported, provider_failure
from llm_core.providers.openai import reported_by_openai
from llm_core.sse import DONE_DATA, SseDecoder, SseEvent, encode_event
from llm_core.tokens.usage import TokenUsage

_Object = dict[str, Any]
_OPENING = ("response.created", "response.queued", "response.in_progress")
_LAST = ("response.completed", "response.incomplete")
_FAILED = ("response.failed", "error")
_STATUS_BY_CODE = {"rate_limit_exceeded": 429, "insufficient_quota": 429, "invalid_prompt": 400}
_INVALID = 400


@dataclass(slots=True)
class NativeResponseStream:
    """Implements `ClientStream`.

    An error behind other events in the same bytes is raised by the next `feed` or by `finish`: how
    bytes were cut must not decide what a client sees.

    Args:
        provider: Its name for a sentence.
    """

    provider: str
    has_begun: bool = False
    usage: TokenUsage = field(default_factory=TokenUsage)
    served_model: str | None = None
    _decoder: SseDecoder = field(default_factory=SseDecoder)
    _passed: list[bytes] = field(default_factory=list)
    _response: _Object | None = None
    _failure: ProviderError | None = None

    def feed(self, received: bytes) -> Sequence[bytes]:
        """Give the events that `received` completes; see `ClientStream.feed`."""
        self._raise_failure()
        try:
            received_events = self._decoder.feed(received)
        except ProviderUnavailable as failure:
            self._failure = failure
            received_events = []
        return self._given(received_events)

    def finish(self) -> Sequence[bytes]:
        """Give the last events; see `ClientStream.finish`."""
        self._raise_failure()
        events = self._given([e for e in self._decoder.finish() if decode_object(e.data)])
        if not events:
            self._raise_failure()
        if self._response is None:
            raise ProviderUnavailable("The model provider broke the stream off.")
        return events

    def failed(self, error: GatewayError) -> bytes:
        """Tell an error in the middle of the stream."""
        return Numbered(len(self._passed)).failed(error)

    def texts(self) -> Sequence[str]:
        """What the model has said so far; only now is what was passed on parsed."""
        texts: list[str] = []
        for data in self._passed:
            event = decode_object(data) or {}
            kind, delta = str(event.get("type")), event.get("delta")
            if kind == "response.output_item.added" and isinstance(event.get("item"), dict):
                texts += texts_of_item(event["item"])
            elif kind.endswith(".delta") and isinstance(delta, str):
                texts.append(delta)
        return texts

    def folded(self) -> _Object | None:
        """The body that the same answer would have had; see `ClientStream.folded`."""
        return self._response

    def _given(self, received: Sequence[SseEvent]) -> list[bytes]:
        events: list[bytes] = []
        for event in received:
            if self._failure is not None or self._response is not None:
                break
            name = self._note(event)
            if name is not None:
                self._passed.append(event.data)
                events.append(encode_event(event.data, name))
        if not events:
            self._raise_failure()
        return events

    def _note(self, event: SseEvent) -> str | None:
        """Look at an event; its name, unless the client is not to see it."""
        if event.data == DONE_DATA:
            # OpenAI sends none here; some servers do.
            return None
        name, parsed = event.event, None
        is_told = name is not None and name not in (*_OPENING, *_LAST, *_FAILED)
        if not is_told:
            parsed = decode_object(event.data)
        # What is passed on unread is still looked at from outside.
        if (is_told and not _is_closed(event.data)) or (not is_told and parsed is None):
            self._failure = ProviderUnavailable(
                f"{self.provider} sent something that is no event in its stream."
            )
            return None
        if parsed is not None:
            name = str(parsed.get("type") or name or "error")
        if name is None or name in _FAILED:
            self._failure = self._failed(parsed or {})
            return None
        response = (parsed or {}).get("response")
        if isinstance(response, dict):
            self._read(response)
        if name in _LAST:
            self._response = response if isinstance(response, dict) else {}
        self.has_begun = self.has_begun or name not in _OPENING
        return name

    def _read(self, response: Mapping[str, Any]) -> None:
        model = response.get("model")
        if isinstance(model, str) and model:
            self.served_model = model
        if isinstance(response.get("usage"), dict):
            self.usage = usage_from_response(response["usage"])

    def _failed(self, event: _Object) -> ProviderError:
        response = event.get("response")
        if isinstance(response, dict):
            self._read(response)
            event = response
        reported, status = reported_in(event)
        return provider_failure(self.provider, status, {}, reported)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


def _is_closed(data: bytes) -> bool:
    text = data.strip()
    return text.startswith(b"{") and text.endswith(b"}")


def reported_in(event: _Object) -> tuple[Reported, int]:
    """Read an `error` event, or a response that has failed; and the status it stands for."""
    reported = reported_by_openai(event)
    if reported.code in _STATUS_BY_CODE:
        return reported, _STATUS_BY_CODE[reported.code]
    is_image = (reported.code or "").partition("_")[0] in ("invalid", "image", "empty", "failed")
    if reported.type == "invalid_request_error" or is_image:
        return reported, _INVALID
    return reported, 502
