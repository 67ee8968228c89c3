"""Gemini's stream as OpenAI's chunks.

Every event is a whole `GenerateContentResponse` with the parts that are new; a call comes in one
piece. There is no mark of the end: the stream is over when it stops, and it was complete when every
choice has said why it finished. So the usage chunk is given by `finish`.

An error in the middle comes as an event, or as bare lines of JSON, which Google's own SDK collects.

Source:
    https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent
    Shape from the SDK's types (google-genai 3.4.0); the pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from llm_core.chat.chunk import chunk, usage_chunk
from llm_core.errors import ProviderUnavailable
from llm_core.providers.event_reader import EventReader
from llm_core.providers.gemini.errors import error_object, failure_from_google
from llm_core.providers.gemini.response import (
    block_reason,
    call_from_gemini,
    candidates,
    finish_reason_from_gemini,
    index_of,
    logprobs_of,
    parts,
    prompt_refusal,
    refusal_of,
    signature_of,
    text,
)
from llm_core.providers.gemini.usage import usage_from_gemini
from llm_core.providers.gemini.vendor import Vendor
from llm_core.sse import SseEvent
from llm_core.tokens.usage import TokenUsage

_Object = dict[str, Any]

_JSON_STARTS = (b"{", b"}", b"[", b"]", b'"', b" ", b"\t")
_MAX_BARE_BYTES = 64 * 1024


class GeminiStream(EventReader[_Object]):
    """Reads a stream; see `StreamTranslator`.

    As with `OpenAIStream`, an error behind chunks in the same bytes is raised by the next `feed`
    or by `finish`.

    Args:
        vendor: Whose.
        choices: How many answers were asked for.
    """

    def __init__(self, vendor: Vendor, choices: int = 1) -> None:
        """Start with nothing read."""
        super().__init__()
        self._vendor = vendor
        self._expected = choices
        self._bare = _BareLines()
        self._id = ""
        self._model = ""
        self._usage: object = None
        self._has_final_usage = False
        self._is_blocked = False
        self._choices: dict[int, _Choice] = {}

    def feed(self, received: bytes) -> Sequence[_Object]:
        """Give the chunks that `received` completes; see `StreamTranslator.feed`."""
        self._bare.feed(received)
        return super().feed(received)

    def finish(self) -> Sequence[_Object]:
        """Give what was held back; see `StreamTranslator.finish`."""
        self._raise_failure()
        chunks = self._read([e for e in self._decoder.finish() if self._is_whole(e)])
        bare = error_object(self._bare.collected)
        if self._failure is None and bare is not None and "error" in bare:
            self._failure = failure_from_google(self._vendor, None, {}, bare)
        self._or_raise(chunks)
        if self._failure is None and self.usage.is_reported:
            chunks.append(usage_chunk(id_=self._id, model=self._model, usage=self.usage))
        return chunks

    def _is_whole(self, last: SseEvent) -> bool:
        return bool(error_object(last.data))

    @property
    def is_complete(self) -> bool:
        """Whether every choice has finished, or the prompt was blocked."""
        finished = sum(one.is_finished for one in self._choices.values())
        return self._is_blocked or (finished == len(self._choices) >= self._expected)

    @property
    def usage(self) -> TokenUsage:
        """As reported so far."""
        return usage_from_gemini(self._usage, is_final=self._has_final_usage)

    @property
    def served_model(self) -> str | None:
        """The model Google says it uses."""
        return self._model or None

    def _read(self, events: Sequence[SseEvent]) -> list[_Object]:
        chunks: list[_Object] = []
        for sent in events:
            if self._failure is not None:
                break
            event = error_object(sent.data)
            if event is None:
                self._failure = ProviderUnavailable(
                    f"{self._vendor.name} sent something that is no JSON object in its stream."
                )
            elif "error" in event:
                self._failure = failure_from_google(self._vendor, None, {}, event)
            else:
                chunks += self._read_event(event)
        return chunks

    def _read_event(self, event: _Object) -> list[_Object]:
        self._id = self._id or text(event.get("responseId"))
        self._model = self._model or text(event.get("modelVersion"))
        chunks: list[_Object] = []
        for candidate in candidates(event):
            chunks += self._read_candidate(candidate)
        if block_reason(event) is not None and not candidates(event):
            chunks += self._block(prompt_refusal(event, self._vendor))
        if isinstance(event.get("usageMetadata"), dict):
            self._usage = event["usageMetadata"]
            self._has_final_usage = self.is_complete
        return chunks

    def _block(self, refusal: str) -> list[_Object]:
        """End every choice: a prompt may be found bad when text has come already."""
        chunks: list[_Object] = []
        self._is_blocked = True
        for index in list(self._choices) or [0]:
            chunks += self._begin(index)
            one = self._choices[index]
            if not one.is_finished:
                one.is_finished = True
                chunks.append(self._chunk(index, {"refusal": refusal}, "content_filter"))
        return chunks

    def _begin(self, index: int) -> list[_Object]:
        if index in self._choices:
            return []
        self._choices[index] = _Choice()
        return [self._chunk(index, {"role": "assistant", "content": "", "refusal": None})]

    def _read_candidate(self, candidate: Mapping[str, Any]) -> list[_Object]:
        index = index_of(candidate)
        chunks = self._begin(index)
        one = self._choices[index]
        for part in parts(candidate):
            delta = self._delta(part, index, one)
            if delta:
                chunks.append(self._chunk(index, delta))
        logprobs = logprobs_of(candidate)
        if logprobs is not None:
            told = self._chunk(index, {})
            told["choices"][0]["logprobs"] = logprobs
            chunks.append(told)
        reason = finish_reason_from_gemini(candidate.get("finishReason"), has_calls=one.calls > 0)
        if reason is not None and not one.is_finished:
            one.is_finished = True
            refusal = refusal_of(candidate, self._vendor)
            chunks.append(self._chunk(index, {"refusal": refusal} if refusal else {}, reason))
        return chunks

    def _delta(self, part: Mapping[str, Any], index: int, one: "_Choice") -> _Object:
        if "functionCall" in part:
            call = call_from_gemini(part, self._id, index, one.calls)
            one.calls += 1
            return {"tool_calls": [{"index": one.calls - 1, **call}]}
        field = "reasoning_content" if part.get("thought") is True else "content"
        said = text(part.get("text"))
        return {**({field: said} if said else {}), **signature_of(part)}

    def _chunk(self, index: int, delta: _Object, finish_reason: str | None = None) -> _Object:
        return chunk(
            id_=self._id, model=self._model, delta=delta, finish_reason=finish_reason, index=index
        )


class _BareLines:
    """Collects the lines that are no server-sent events: all that begin as JSON does."""

    __slots__ = ("_is_kept", "_is_start", "collected")

    def __init__(self) -> None:
        self.collected = b""
        self._is_start = True
        self._is_kept = False

    def feed(self, received: bytes) -> None:
        for line in received.splitlines(keepends=True):
            if self._is_start:
                self._is_kept = line[:1] in _JSON_STARTS
            if self._is_kept and len(self.collected) < _MAX_BARE_BYTES:
                self.collected += line
            self._is_start = line[-1:] in (b"\n", b"\r")


class _Choice:
    """One answer of those asked for: its calls so far, and whether it has said why it ended."""

    __slots__ = ("calls", "is_finished")

    def __init__(self) -> None:
        self.calls = 0
        self.is_finished = False
