"""Writes an answer as Anthropic does, whole or as events.

Source:
    https://platform.claude.com/docs/en/api/messages/create and
    https://platform.claude.com/docs/en/build-with-claude/streaming (checked 2026-11-20)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from sandbox.answers import Answer, Finish, ToolCall, call_id
from sandbox.anthropic.question import PromptSize
from sandbox.identifiers import identifier
from sandbox.tokens import count, pieces
from sandbox.wire import Event, named_event

_STOP_REASON = {
    Finish.STOP: "end_turn",
    Finish.STOP_SEQUENCE: "stop_sequence",
    Finish.LENGTH: "max_tokens",
    Finish.TOOL_CALLS: "tool_use",
}


@dataclass(frozen=True, slots=True)
class MessageReply:
    """One message.

    Args:
        digest: The request's; fixes the ids.
        model: The served model.
        answer: What is said.
        prompt: Size of the prompt.
        is_thinking_shown: Whether the thinking block has its text, or its signature alone.
    """

    digest: str
    model: str
    answer: Answer
    prompt: PromptSize
    is_thinking_shown: bool

    @property
    def output_tokens(self) -> int:
        """Thinking included."""
        return self.answer.output_tokens

    def whole(self, *, has_usage: bool) -> dict[str, Any]:
        """A `message` object."""
        body = self._head(self._blocks())
        body["stop_reason"] = _STOP_REASON[self.answer.finish]
        body["stop_sequence"] = self.answer.stop_sequence
        if has_usage:
            body["usage"] = {**self._input_usage(), **self._output_usage()}
        return body

    def events(self, *, has_usage: bool) -> list[Event]:
        """`message_start`, the blocks, `message_delta` and `message_stop`."""
        head = self._head([])
        if has_usage:
            head["usage"] = {**self._input_usage(), "output_tokens": 1, "service_tier": "standard"}
        events = [named_event({"type": "message_start", "message": head})]
        for index, block in enumerate(self._blocks()):
            events += _block_events(index, block)
            if index == 0:  # Anthropic sends one soon after the start
                events.insert(2, named_event({"type": "ping"}))
        end: dict[str, Any] = {
            "type": "message_delta",
            "delta": {
                "stop_reason": _STOP_REASON[self.answer.finish],
                "stop_sequence": self.answer.stop_sequence,
            },
        }
        if has_usage:
            counted = self._input_usage()
            del counted["cache_creation"]
            output = self._output_usage()
            del output["service_tier"]
            end["usage"] = {**counted, **output}
        return [*events, named_event(end), named_event({"type": "message_stop"})]

    def _head(self, content: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": identifier("msg_01", self.digest, 22),
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": None,
            "stop_sequence": None,
        }

    def _blocks(self) -> list[dict[str, Any]]:
        blocks: list[dict[str, Any]] = []
        if self.answer.thinking:
            shown = self.answer.thinking if self.is_thinking_shown else ""
            signature = identifier("", f"{self.digest}/signature", 40) + "=="
            blocks.append({"type": "thinking", "thinking": shown, "signature": signature})
        if self.answer.text:
            blocks.append({"type": "text", "text": self.answer.text})
        return [*blocks, *map(_tool_use, self.answer.calls)]

    def _input_usage(self) -> dict[str, Any]:
        long, short = self.prompt.written, 0
        if not self.prompt.is_long_lived:
            long, short = short, long
        return {
            "input_tokens": self.prompt.plain,
            "cache_creation_input_tokens": self.prompt.written,
            "cache_read_input_tokens": self.prompt.read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": short,
                "ephemeral_1h_input_tokens": long,
            },
        }

    def _output_usage(self) -> dict[str, Any]:
        usage: dict[str, Any] = {
            "output_tokens": self.answer.output_tokens,
            "service_tier": "standard",
        }
        if self.answer.thinking:
            usage["output_tokens_details"] = {"thinking_tokens": self.answer.thinking_tokens}
        return usage


def _tool_use(call: ToolCall) -> dict[str, Any]:
    return {
        "type": "tool_use",
        "id": call_id("toolu_01", call, 22),
        "name": call.name,
        "input": msgspec.json.decode(call.arguments),
    }


def _block_events(index: int, block: dict[str, Any]) -> Iterator[Event]:
    match block["type"]:
        case "thinking":
            empty: dict[str, Any] = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [
                ({"type": "thinking_delta", "thinking": piece}, 1)
                for piece in pieces(block["thinking"])
            ]
            deltas.append(({"type": "signature_delta", "signature": block["signature"]}, 0))
        case "text":
            empty = {"type": "text", "text": ""}
            deltas = [({"type": "text_delta", "text": piece}, 1) for piece in pieces(block["text"])]
        case _:
            empty = {**block, "input": {}}
            deltas = [
                ({"type": "input_json_delta", "partial_json": piece}, count(piece))
                for piece in ("", *_json_pieces(block["input"]))
            ]
    yield named_event({"type": "content_block_start", "index": index, "content_block": empty})
    for delta, tokens in deltas:
        yield named_event({"type": "content_block_delta", "index": index, "delta": delta}, tokens)
    yield named_event({"type": "content_block_stop", "index": index})


def _json_pieces(document: dict[str, Any]) -> list[str]:
    """Cut JSON into parts that are no JSON by themselves; no input is sent as no delta at all."""
    if not document:
        return []
    text = msgspec.json.encode(document).decode()
    return [text[start : start + 12] for start in range(0, len(text), 12)]
