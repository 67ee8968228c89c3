"""Writes an answer as Cohere does, whole or as events.

Source:
    https://docs.cohere.com/reference/chat, https://docs.cohere.com/docs/streaming and
    https://docs.cohere.com/docs/tool-use-streaming (checked 2026-11-20)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sandbox.answers import Answer, Finish, ToolCall
from sandbox.cohere.question import PromptSize
from sandbox.identifiers import identifier
from sandbox.tokens import pieces
from sandbox.wire import Event, named_event

_FINISH = {
    Finish.STOP: "COMPLETE",
    Finish.STOP_SEQUENCE: "STOP_SEQUENCE",
    Finish.LENGTH: "MAX_TOKENS",
    Finish.TOOL_CALLS: "TOOL_CALL",
}
_EXTRA_TOKENS = 3
"""Marks around an answer: produced, and not billed."""


@dataclass(frozen=True, slots=True)
class CohereReply:
    """One message.

    Args:
        digest: The request's; fixes the ids.
        answer: What is said; its text is the tool plan when tools are called.
        prompt: Size of the prompt.
    """

    digest: str
    answer: Answer
    prompt: PromptSize

    @property
    def output_tokens(self) -> int:
        """Thinking and plan included."""
        return self.answer.output_tokens

    def whole(self, *, has_usage: bool) -> dict[str, Any]:
        """An assistant's message."""
        message: dict[str, Any] = {"role": "assistant"}
        blocks = self._blocks()
        if blocks:
            message["content"] = blocks
        if self.answer.calls:
            message["tool_plan"] = self.answer.text
            message["tool_calls"] = [_call(call) for call in self.answer.calls]
        body: dict[str, Any] = {
            "id": self._id(),
            "message": message,
            "finish_reason": _FINISH[self.answer.finish],
        }
        if has_usage:
            body["usage"] = self._usage()
        return body

    def events(self, *, has_usage: bool) -> list[Event]:
        """From `message-start` to `message-end`, and `[DONE]`."""
        empty = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": []}
        message = {"message": {**empty, "citations": []}}
        events = [named_event({"type": "message-start", "id": self._id(), "delta": message})]
        for index, block in enumerate(self._blocks()):
            events += _block_events(index, block)
        if self.answer.calls:
            events += (
                named_event(
                    {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": piece}}}, 1
                )
                for piece in pieces(self.answer.text)
            )
        for index, call in enumerate(self.answer.calls):
            events += _call_events(index, call)
        end: dict[str, Any] = {"finish_reason": _FINISH[self.answer.finish]}
        if has_usage:
            end["usage"] = self._usage()
        events.append(named_event({"type": "message-end", "delta": end}))
        return [*events, Event(b"data: [DONE]\n\n")]

    def _id(self) -> str:
        return identifier("", self.digest, 32).lower()

    def _blocks(self) -> list[dict[str, Any]]:
        blocks: list[dict[str, Any]] = []
        if self.answer.thinking:
            blocks.append({"type": "thinking", "thinking": self.answer.thinking})
        if self.answer.text and not self.answer.calls:
            blocks.append({"type": "text", "text": self.answer.text})
        return blocks

    def _usage(self) -> dict[str, Any]:
        return {
            "billed_units": {
                "input_tokens": self.prompt.billed,
                "output_tokens": self.output_tokens,
            },
            "tokens": {
                "input_tokens": self.prompt.read,
                "output_tokens": self.output_tokens + _EXTRA_TOKENS,
            },
            "cached_tokens": self.prompt.cached,
        }


def _call(call: ToolCall) -> dict[str, Any]:
    return {
        "id": identifier(f"{call.name}_", call.seed, 12).lower(),
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }


def _block_events(index: int, block: dict[str, Any]) -> Iterator[Event]:
    kind = block["type"]

    def content(said: dict[str, Any]) -> dict[str, Any]:
        return {"index": index, "delta": {"message": {"content": said}}}

    yield named_event({"type": "content-start", **content({"type": kind, kind: ""})})
    for piece in pieces(block[kind]):
        yield named_event({"type": "content-delta", **content({kind: piece})}, 1)
    yield named_event({"type": "content-end", "index": index})


def _call_events(index: int, call: ToolCall) -> Iterator[Event]:
    def calls(said: dict[str, Any]) -> dict[str, Any]:
        return {"index": index, "delta": {"message": {"tool_calls": said}}}

    opened = _call(call)
    opened["function"]["arguments"] = ""
    yield named_event({"type": "tool-call-start", **calls(opened)}, 1)
    for piece in pieces(call.arguments):
        said = {"function": {"arguments": piece}}
        yield named_event({"type": "tool-call-delta", **calls(said)}, 1)
    yield named_event({"type": "tool-call-end", "index": index})
