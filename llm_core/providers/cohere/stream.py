"""Cohere's stream as OpenAI's chunks.

Content blocks, the tool plan and tool calls each come opened, filled and closed; Cohere's index of
a call counts calls, as OpenAI's does.

Source:
    https://docs.cohere.com/docs/streaming
    https://docs.cohere.com/docs/tool-use-streaming
    Shape from the SDK's types (cohere 7.3.1); the pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from llm_core.chat.chunk import chunk, usage_chunk
from llm_core.chat.encoding import decode_object
from llm_core.errors import ProviderUnavailable
from llm_core.providers.cohere.errors import PROVIDER, failure_from_cohere, failure_of_generation
from llm_core.providers.cohere.response import (
    NO_ARGUMENTS,
    finish_reason_from_cohere,
    tool_call_from_cohere,
    usage_from_cohere,
)
from llm_core.providers.event_reader import EventReader
from llm_core.sse import DONE_DATA, SseEvent
from llm_core.tokens.usage import TokenUsage

_Object = dict[str, Any]


_LONGEST_EMPTY = max(map(len, NO_ARGUMENTS)) + 1


class CohereStream(EventReader[_Object]):
    """Reads a stream; see `StreamTranslator`.

    As with `OpenAIStream`, an error behind chunks in the same bytes is raised by the next `feed`
    or by `finish`.
    """

    def __init__(self) -> None:
        """Start with nothing read."""
        super().__init__()
        self._id = ""
        self._usage = TokenUsage()
        self._arguments: dict[int, str] = {}
        self._is_complete = False

    @property
    def is_complete(self) -> bool:
        """Whether `message-end` has come, and told of no failure."""
        return self._is_complete

    @property
    def usage(self) -> TokenUsage:
        """As reported so far: all of it, or nothing before `message-end`."""
        return self._usage

    @property
    def served_model(self) -> str | None:
        """Cohere does not say."""
        return None

    def _read(self, events: Sequence[SseEvent]) -> list[_Object]:
        chunks: list[_Object] = []
        for sent in events:
            if self._failure is not None or self._is_complete or sent.data == DONE_DATA:
                break
            event = decode_object(sent.data)
            try:
                if event is None:
                    raise TypeError  # noqa: TRY301 - handled as one with all other nonsense
                chunks += self._read_event(event)
            except (TypeError, KeyError, AttributeError):
                self._failure = ProviderUnavailable(
                    f"{PROVIDER} sent something that is no event of its API in its stream."
                )
        return chunks

    def _read_event(self, event: _Object) -> list[_Object]:
        chunks: list[_Object] = []
        match event.get("type"):
            case "message-start":
                given = event.get("id")
                self._id = given if isinstance(given, str) else ""
                chunks = [self._chunk({"role": "assistant", "content": "", "refusal": None})]
            case "content-start" | "content-delta":
                chunks = self._content(_message(event)["content"])
            case "tool-plan-delta":
                chunks = self._text("reasoning_content", _message(event)["tool_plan"])
            case "tool-call-start" | "tool-call-delta" | "tool-call-end" as kind:
                chunks = self._call(kind, event)
            case "citation-start":
                chunks = [self._chunk({"citations": [_message(event)["citations"]]})]
            case "message-end":
                chunks = self._end(event["delta"])
            case None if "message" in event:
                # An error answer in the place of an event.
                self._failure = failure_from_cohere(502, {}, event)
            case _:
                # Ends of blocks, `debug`, and whatever Cohere adds.
                pass
        return chunks

    def _content(self, content: Mapping[str, Any]) -> list[_Object]:
        thinking = self._text("reasoning_content", content.get("thinking") or "")
        return thinking + self._text("content", content.get("text") or "")

    def _call(self, kind: str, event: Mapping[str, Any]) -> list[_Object]:
        match kind:
            case "tool-call-start":
                return self._open_call(event["index"], _message(event)["tool_calls"])
            case "tool-call-delta":
                added = _message(event)["tool_calls"]["function"]["arguments"]
                return self._fill_call(event["index"], added or "")
            case _:
                return self._close_call(event["index"])

    def _open_call(self, index: int, given: Mapping[str, Any]) -> list[_Object]:
        call = tool_call_from_cohere(given)
        call["function"]["arguments"] = ""
        self._arguments[index] = ""
        opened = [self._chunk({"tool_calls": [{"index": index, **call}]})]
        return opened + self._fill_call(index, given["function"].get("arguments") or "")

    def _fill_call(self, index: int, added: str) -> list[_Object]:
        """Hand arguments on, once they cannot be the `null` that a call without any may have."""
        held = self._arguments[index]
        # Longer than the longest of those few it is none of them, whatever comes.
        self._arguments[index] = (held + added)[:_LONGEST_EMPTY]
        is_held = any(empty.startswith(held) for empty in NO_ARGUMENTS)
        if any(empty.startswith(held + added) for empty in NO_ARGUMENTS):
            return []
        return self._arguments_chunk(index, held + added if is_held else added)

    def _close_call(self, index: int) -> list[_Object]:
        held = self._arguments.pop(index)
        if held in NO_ARGUMENTS:
            return self._arguments_chunk(index, "{}")
        return []

    def _arguments_chunk(self, index: int, arguments: str) -> list[_Object]:
        call = {"index": index, "function": {"arguments": arguments}}
        return [self._chunk({"tool_calls": [call]})] if arguments else []

    def _end(self, delta: Mapping[str, Any]) -> list[_Object]:
        self._usage = usage_from_cohere(delta.get("usage"))
        self._failure = failure_of_generation(delta.get("finish_reason"))
        if self._failure is not None:
            return []
        self._is_complete = True
        finish_reason = finish_reason_from_cohere(delta.get("finish_reason"))
        chunks = [self._chunk({}, finish_reason=finish_reason)]
        if self._usage.is_reported:
            chunks.append(usage_chunk(id_=self._id, model="", usage=self._usage))
        return chunks

    def _text(self, field: str, text: object) -> list[_Object]:
        if not isinstance(text, str):
            raise TypeError
        return [self._chunk({field: text})] if text else []

    def _chunk(self, delta: _Object, finish_reason: str | None = None) -> _Object:
        return chunk(id_=self._id, model="", delta=delta, finish_reason=finish_reason)


def _message(event: Mapping[str, Any]) -> Mapping[str, Any]:
    message: Mapping[str, Any] = event["delta"]["message"]
    return message
