"""Writes an answer as Converse does, whole or as messages of the event stream.

Source:
    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
    (checked 2026-11-20)
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from llm_core.providers.bedrock.event_stream import encode_message
from sandbox.answers import Answer, Finish, ToolCall, call_id
from sandbox.anthropic.question import PromptSize
from sandbox.identifiers import identifier
from sandbox.tokens import count, pieces
from sandbox.wire import Event

_STOP_REASON = {
    Finish.STOP: "end_turn",
    Finish.STOP_SEQUENCE: "stop_sequence",
    Finish.LENGTH: "max_tokens",
    Finish.TOOL_CALLS: "tool_use",
}
_LATENCY_MS = 42


@dataclass(frozen=True, slots=True)
class ConverseReply:
    """One answer.

    Args:
        digest: The request's; fixes the ids.
        answer: What is said.
        prompt: Size of the prompt.
        is_signed: Whether reasoning bears a signature, as Claude's does.
    """

    digest: str
    answer: Answer
    prompt: PromptSize
    is_signed: bool

    @property
    def output_tokens(self) -> int:
        """Reasoning included."""
        return self.answer.output_tokens

    def whole(self, *, has_usage: bool) -> dict[str, Any]:
        """The answer as one document."""
        return {
            "output": {"message": {"role": "assistant", "content": self._blocks()}},
            "stopReason": _STOP_REASON[self.answer.finish],
            **({"usage": self._usage()} if has_usage else {}),
            "metrics": {"latencyMs": _LATENCY_MS},
        }

    def events(self, *, has_usage: bool) -> list[Event]:
        """`messageStart`, the blocks, `messageStop` and `metadata`."""
        events = [stream_event("messageStart", {"role": "assistant"})]
        for index, block in enumerate(self._blocks()):
            events += _block_events(index, block)
        stopped = {"stopReason": _STOP_REASON[self.answer.finish]}
        told = {
            **({"usage": self._usage()} if has_usage else {}),
            "metrics": {"latencyMs": _LATENCY_MS},
        }
        return [*events, stream_event("messageStop", stopped), stream_event("metadata", told)]

    def _blocks(self) -> list[dict[str, Any]]:
        blocks: list[dict[str, Any]] = []
        if self.answer.thinking:
            reasoning = {"text": self.answer.thinking}
            if self.is_signed:
                reasoning["signature"] = identifier("", f"{self.digest}/signature", 40) + "=="
            blocks.append({"reasoningContent": {"reasoningText": reasoning}})
        if self.answer.text:
            blocks.append({"text": self.answer.text})
        return [*blocks, *map(_tool_use, self.answer.calls)]

    def _usage(self) -> dict[str, int]:
        prompt, output = self.prompt, self.answer.output_tokens
        return {
            "inputTokens": prompt.plain,
            "outputTokens": output,
            "totalTokens": prompt.plain + prompt.read + prompt.written + output,
            "cacheReadInputTokens": prompt.read,
            "cacheWriteInputTokens": prompt.written,
        }


def stream_event(kind: str, document: Mapping[str, Any], tokens: int = 0) -> Event:
    """Frame one event; each bears a padding `p`, so that its length does not tell what is said."""
    padded = {**document, "p": identifier("", f"{kind}/{document}", 4 + len(kind) % 7)}
    headers = {
        ":event-type": kind,
        ":content-type": "application/json",
        ":message-type": "event",
    }
    return Event(encode_message(headers, msgspec.json.encode(padded)), tokens)


def stream_exception(kind: str, message: str) -> Event:
    """Frame an exception."""
    headers = {
        ":exception-type": kind,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return Event(encode_message(headers, msgspec.json.encode({"message": message})))


def _tool_use(call: ToolCall) -> dict[str, Any]:
    return {
        "toolUse": {
            "toolUseId": call_id("tooluse_", call, 22),
            "name": call.name,
            "input": msgspec.json.decode(call.arguments),
        }
    }


def _block_events(index: int, block: Mapping[str, Any]) -> Iterator[Event]:
    """Only a tool call has an event that opens it."""
    place = {"contentBlockIndex": index}
    if "toolUse" in block:
        opened = {name: block["toolUse"][name] for name in ("toolUseId", "name")}
        yield stream_event("contentBlockStart", {"start": {"toolUse": opened}, **place})
    for delta, tokens in _deltas(block):
        yield stream_event("contentBlockDelta", {"delta": delta, **place}, tokens)
    yield stream_event("contentBlockStop", place)


def _deltas(block: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], int]]:
    match block:
        case {"reasoningContent": {"reasoningText": reasoning}}:
            for piece in pieces(reasoning["text"]):
                yield {"reasoningContent": {"text": piece}}, 1
            if "signature" in reasoning:
                yield {"reasoningContent": {"signature": reasoning["signature"]}}, 0
        case {"text": str(text)}:
            for piece in pieces(text):
                yield {"text": piece}, 1
        case {"toolUse": used}:
            text = msgspec.json.encode(used["input"]).decode() if used["input"] else ""
            for start in range(0, len(text), 12):
                piece = text[start : start + 12]
                yield {"toolUse": {"input": piece}}, count(piece)
        case _:
            pass
