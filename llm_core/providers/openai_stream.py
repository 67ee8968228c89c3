"""A stream in OpenAI's format: passed through, with usage moved to its end."""

from collections.abc import Callable, Sequence
from typing import Any

from llm_core.chat.encoding import decode_object
from llm_core.chat.response import usage_from_openai
from llm_core.chat.sound import sound
from llm_core.errors import ProviderError, ProviderUnavailable
from llm_core.providers.event_reader import EventReader
from llm_core.providers.failures import Reported, provider_failure
from llm_core.sse import DONE_DATA, SseEvent
from llm_core.tokens.usage import TokenUsage

_Object = dict[str, Any]

_STATUS_BY_TYPE = {
    "invalid_request_error": 400,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "overloaded_error": 503,
}

_IDENTITY = ("id", "object", "created", "model")
_ENVELOPE = (*_IDENTITY, "choices", "usage", "system_fingerprint")


class OpenAIStream(EventReader[_Object]):
    """Reads a stream; see `StreamTranslator`.

    Chunks pass unchanged, unknown members included, but for three things that OpenAI's own streams
    do not need:

    - Usage is held back and given last, in a chunk without choices. Some imitators put it into the
      chunk with the finish reason, and Azure can send annotations after it.
    - A chunk with neither choices nor usage (Azure's first, with what its filter says of the
      prompt) would break clients that read `choices[0]`; its members join the next chunk.
    - An empty id, model or object is filled in from the chunks before.

    When an error comes behind chunks in the same bytes, the chunks are given first and the error is
    raised by the next `feed` or by `finish`: how bytes were cut must not decide what a client sees.
    """

    def __init__(
        self,
        *,
        provider: str,
        choices: int,
        reported_by: Callable[[_Object | None], Reported],
        adapted: Callable[[_Object], _Object] = lambda chunk: chunk,
    ) -> None:
        """Start with nothing read.

        Args:
            provider: Its name for a sentence.
            choices: How many answers were asked for.
            reported_by: Reads the provider's error object.
            adapted: Gives a chunk OpenAI's shape where the provider's differs; may raise
                `ProviderError`.
        """
        super().__init__()
        self._provider = provider
        self._choices = choices
        self._reported_by = reported_by
        self._adapted = adapted
        self._usage = TokenUsage()
        self._usage_chunk: _Object | None = None
        self._served_model: str | None = None
        self._finished_choices: set[int] = set()
        self._envelope: _Object = {"object": "chat.completion.chunk"}
        self._annotations: _Object = {}
        self._is_done = False

    def finish(self) -> Sequence[_Object]:
        """Give what was held back; see `StreamTranslator.finish`."""
        return [*super().finish(), *self._take_usage_chunk()]

    def _is_whole(self, last: SseEvent) -> bool:
        return last.data == DONE_DATA or super()._is_whole(last)

    @property
    def is_complete(self) -> bool:
        """Whether the provider said that it was done: `[DONE]`, or a reason for every choice."""
        return self._is_done or len(self._finished_choices) >= self._choices

    @property
    def usage(self) -> TokenUsage:
        """As reported so far."""
        return self._usage

    @property
    def served_model(self) -> str | None:
        """The model the provider says it uses."""
        return self._served_model

    def _read(self, events: Sequence[SseEvent]) -> list[_Object]:
        chunks: list[_Object] = []
        for event in events:
            if self._failure is not None or self._is_done:
                break
            if event.data == DONE_DATA:
                self._is_done = True
                chunks += self._take_usage_chunk()
                break
            received = decode_object(event.data)
            if received is not None and _is_error(received):
                self._failure = self._failed(received)
            elif received is None or not _is_chunk(received):
                self._failure = ProviderUnavailable(
                    f"{self._provider} sent something that is no chunk in its stream."
                )
            else:
                chunks += self._adapt_and_read(received)
        return chunks

    def _adapt_and_read(self, received: _Object) -> list[_Object]:
        try:
            return self._read_chunk(sound(self._adapted(received)))
        except ProviderError as failure:
            self._failure = failure
            return []

    def _read_chunk(self, received: _Object) -> list[_Object]:
        model = received.get("model")
        if isinstance(model, str) and model:
            self._served_model = model
        choices: list[_Object] = received.get("choices") or []
        for choice in choices:
            index = choice.get("index", 0)
            if choice.get("finish_reason") and isinstance(index, int):
                self._finished_choices.add(index)
        usage = received.get("usage")
        if not choices and not isinstance(usage, dict):
            self._annotations |= {k: v for k, v in received.items() if k not in _ENVELOPE}
            return []
        received = self._completed(received)
        if not isinstance(usage, dict):
            return [received]
        self._usage = usage_from_openai(usage)
        self._usage_chunk = {**received, "choices": []}
        if not choices:
            return []
        return [{name: value for name, value in received.items() if name != "usage"}]

    def _completed(self, received: _Object) -> _Object:
        self._envelope |= {k: v for k, v in received.items() if k in _IDENTITY and v}
        missing = {k: v for k, v in self._envelope.items() if not received.get(k)}
        annotations, self._annotations = self._annotations, {}
        return {**received, **missing, **annotations}

    def _take_usage_chunk(self) -> list[_Object]:
        held, self._usage_chunk = self._usage_chunk, None
        return [] if held is None else [held]

    def _failed(self, received: _Object) -> ProviderError:
        reported = self._reported_by(received)
        status = _STATUS_BY_TYPE.get(reported.type or reported.code or "", 502)
        return provider_failure(self._provider, status, {}, reported)


def _is_error(received: _Object) -> bool:
    # The second form is older vLLM's.
    return not received.get("choices") and (
        bool(received.get("error")) or received.get("object") == "error"
    )


def _is_chunk(received: _Object) -> bool:
    choices = received.get("choices")
    if choices is None:
        return "usage" in received
    return isinstance(choices, list) and all(isinstance(choice, dict) for choice in choices)
