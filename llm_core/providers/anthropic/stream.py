"""Anthropic's stream as OpenAI's chunks.

Content blocks come one after another, each opened, filled by deltas and closed. Text and thinking
go out as they come; a tool call's index counts calls, where Anthropic's counts blocks.

Source:
    https://platform.claude.com/docs/en/build-with-claude/streaming (checked 2026-11-20)
"""

from collections.abc import Mapping, Sequence
from typing import Any

from llm_core.chat.chunk import chunk, usage_chunk
from llm_core.chat.encoding import decode_object
from llm_core.errors import ProviderUnavailable
from llm_core.providers.anthropic.errors import failure_from_anthropic
from llm_core.providers.anthropic.response import (
    finish_reason_from_anthropic,
    refusal_from_anthropic,
    thinking_block_from_anthropic,
    tool_call_from_anthropic,
    usage_from_anthropic,
)
from llm_core.providers.event_reader import EventReader
from llm_core.sse import SseEvent
from llm_core.tokens.usage import TokenUsage

_Object = dict[str, Any]


class AnthropicStream(EventReader[_Object]):
    """Reads a stream; see `StreamTranslator`.

    As with `OpenAIStream`, an error behind chunks in the same bytes is raised by the next `feed`
    or by `finish`.
    """

    def __init__(self) -> None:
        """Start with nothing read."""
        super().__init__()
        self._id = ""
        self._model = ""
        self._usage: _Object = {}
        self._has_final_usage = False
        self._blocks: dict[int, _Block] = {}
        self._calls = 0
        self._is_complete = False
        self._has_given_usage = False

    def finish(self) -> Sequence[_Object]:
        """Give what was held back; see `StreamTranslator.finish`."""
        return [*super().finish(), *self._end()]

    @property
    def is_complete(self) -> bool:
        """Whether `message_stop` has come."""
        return self._is_complete

    @property
    def usage(self) -> TokenUsage:
        """As reported so far.

        `message_start` already has an `output_tokens`, which counts next to nothing. It is not
        believed: a stream that is cut off would be charged for one token.
        """
        if self._has_final_usage:
            return usage_from_anthropic(self._usage)
        return usage_from_anthropic({**self._usage, "output_tokens": None})

    @property
    def served_model(self) -> str | None:
        """The model Anthropic says it uses."""
        return self._model or None

    def _read(self, events: Sequence[SseEvent]) -> list[_Object]:
        chunks: list[_Object] = []
        for sent in events:
            if self._failure is not None or self._is_complete:
                break
            event = decode_object(sent.data)
            try:
                if event is None:
                    raise TypeError  # noqa: TRY301 - handled as one with all other nonsense
                chunks += self._read_event(event)
            except (TypeError, KeyError, AttributeError, ValueError):
                self._failure = ProviderUnavailable(
                    "Anthropic sent something that is no event of its API in its stream."
                )
        return chunks

    def _read_event(self, event: _Object) -> list[_Object]:
        chunks: list[_Object] = []
        match event.get("type"):
            case "message_start":
                chunks = self._start(event["message"])
            case "content_block_start":
                chunks = self._open_block(event["index"], event["content_block"])
            case "content_block_delta":
                chunks = self._fill_block(event["index"], event["delta"])
            case "content_block_stop":
                chunks = self._close_block(event["index"])
            case "message_delta":
                chunks = self._stop(event)
            case "message_stop":
                self._is_complete = True
                chunks = self._end()
            case "error":
                self._failure = failure_from_anthropic(None, {}, event)
            case _:
                # `ping`, and whatever Anthropic adds: unknown events are to be passed over.
                pass
        return chunks

    def _start(self, message: Mapping[str, Any]) -> list[_Object]:
        id_, model = message["id"], message["model"]
        if not (isinstance(id_, str) and isinstance(model, str)):
            raise TypeError
        self._id, self._model = id_, model
        self._merge_usage(message.get("usage"))
        return [self._chunk({"role": "assistant", "content": "", "refusal": None})]

    def _open_block(self, index: int, content: Mapping[str, Any]) -> list[_Object]:
        block = _Block(content=dict(content), call_index=self._calls)
        self._blocks[index] = block
        if content["type"] == "tool_use":
            self._calls += 1
            call = tool_call_from_anthropic({**content, "input": {}})
            call["function"]["arguments"] = ""
            return [self._chunk({"tool_calls": [{"index": block.call_index, **call}]})]
        if content["type"] == "text":
            return self._text("content", content["text"])
        if content["type"] == "thinking":
            return self._text("reasoning_content", content["thinking"])
        return []

    def _fill_block(self, index: int, delta: Mapping[str, Any]) -> list[_Object]:
        block = self._blocks[index]
        match delta["type"]:
            case "text_delta":
                return self._text("content", delta["text"])
            case "thinking_delta":
                chunks = self._text("reasoning_content", delta["thinking"])
                block.thoughts.append(delta["thinking"])
                return chunks
            case "signature_delta":
                block.content["signature"] = delta["signature"]
                return []
            case "input_json_delta" if block.content["type"] == "tool_use":
                return self._arguments(block, delta["partial_json"])
            case _:
                return []

    def _close_block(self, index: int) -> list[_Object]:
        block = self._blocks.pop(index)
        match block.content["type"]:
            case "tool_use" if not block.has_arguments:
                # A call without arguments sends none; in the whole answer they read `{}`.
                call = tool_call_from_anthropic(block.content)
                return self._arguments(block, call["function"]["arguments"])
            case "thinking" | "redacted_thinking":
                kept = thinking_block_from_anthropic(block.thought(), self._model)
                return [self._chunk({"thinking_blocks": [kept]})]
            case _:
                return []

    def _stop(self, event: Mapping[str, Any]) -> list[_Object]:
        delta = event["delta"]
        if isinstance(event.get("usage"), dict):
            self._has_final_usage = True
            self._merge_usage(event["usage"])
        refusal = refusal_from_anthropic(delta)
        if delta.get("stop_reason") is None:
            return []
        return [
            self._chunk(
                {} if refusal is None else {"refusal": refusal},
                finish_reason=finish_reason_from_anthropic(delta["stop_reason"]),
            )
        ]

    def _end(self) -> list[_Object]:
        if self._has_given_usage or not self.usage.is_reported:
            return []
        self._has_given_usage = True
        return [usage_chunk(id_=self._id, model=self._model, usage=self.usage)]

    def _text(self, field: str, text: object) -> list[_Object]:
        if not isinstance(text, str):
            raise TypeError
        return [self._chunk({field: text})] if text else []

    def _arguments(self, block: "_Block", text: object) -> list[_Object]:
        if not isinstance(text, str):
            raise TypeError
        if not text:
            return []
        block.has_arguments = True
        call = {"index": block.call_index, "function": {"arguments": text}}
        return [self._chunk({"tool_calls": [call]})]

    def _chunk(self, delta: _Object, finish_reason: str | None = None) -> _Object:
        return chunk(id_=self._id, model=self._model, delta=delta, finish_reason=finish_reason)

    def _merge_usage(self, usage: object) -> None:
        # Counts are cumulative; a later one that is null or missing leaves the earlier one.
        if isinstance(usage, dict):
            self._usage.update({k: v for k, v in usage.items() if v is not None})


class _Block:
    """A content block that is open.

    Args:
        content: As it began; a signature is filled in.
        call_index: Which call of the answer this is, if it is one.
    """

    __slots__ = ("call_index", "content", "has_arguments", "thoughts")

    def __init__(self, *, content: _Object, call_index: int) -> None:
        self.content = content
        self.call_index = call_index
        self.has_arguments = False
        self.thoughts: list[str] = []

    def thought(self) -> _Object:
        """A block of thinking as it would stand in the whole answer."""
        if not self.thoughts:
            return self.content
        return {**self.content, "thinking": "".join([self.content["thinking"], *self.thoughts])}
