"""Writes an answer as OpenAI does, whole or as chunks.

Source:
    https://platform.openai.com/docs/api-reference/chat/object and
    https://platform.openai.com/docs/api-reference/chat/streaming (checked 2026-11-20)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.answers import Answer, Finish, ToolCall, call_id
from sandbox.identifiers import CREATED_AT_S, identifier
from sandbox.openai.question import PromptSize
from sandbox.tokens import pieces
from sandbox.wire import Event, data_event

_FINISH = {
    Finish.STOP: "stop",
    Finish.STOP_SEQUENCE: "stop",
    Finish.LENGTH: "length",
    Finish.TOOL_CALLS: "tool_calls",
}


@dataclass(frozen=True, slots=True)
class ChatReply:
    """One answer with all its choices.

    Args:
        digest: The request's; fixes the ids.
        model: The served model.
        answers: One for every choice.
        prompt: Size of the prompt.
        is_usage_streamed: Whether the stream ends with a usage chunk.
    """

    digest: str
    model: str
    answers: Sequence[Answer]
    prompt: PromptSize
    is_usage_streamed: bool

    @property
    def output_tokens(self) -> int:
        """Of all choices."""
        return sum(answer.output_tokens for answer in self.answers)

    def whole(self, *, has_usage: bool) -> dict[str, Any]:
        """A `chat.completion` object."""
        body = self._head("chat.completion")
        body["choices"] = [
            {
                "index": index,
                "message": _message(answer),
                "logprobs": None,
                "finish_reason": _FINISH[answer.finish],
            }
            for index, answer in enumerate(self.answers)
        ]
        if has_usage:
            body["usage"] = self.usage()
        return body

    def events(self, *, has_usage: bool) -> list[Event]:
        """`chat.completion.chunk` objects, choice after choice, then usage and `[DONE]`."""
        is_usage_shown = self.is_usage_streamed and has_usage
        absent: dict[str, Any] = {"usage": None} if is_usage_shown else {}
        events = [
            data_event({**self._head("chat.completion.chunk"), "choices": [choice], **absent}, cost)
            for index, answer in enumerate(self.answers)
            for choice, cost in _choices(index, answer)
        ]
        if is_usage_shown:
            head = self._head("chat.completion.chunk")
            events.append(data_event({**head, "choices": [], "usage": self.usage()}))
        events.append(Event(b"data: [DONE]\n\n"))
        return events

    def usage(self) -> dict[str, Any]:
        """Inclusive buckets, as OpenAI counts."""
        return {
            "prompt_tokens": self.prompt.total,
            "completion_tokens": self.output_tokens,
            "total_tokens": self.prompt.total + self.output_tokens,
            "prompt_tokens_details": {"cached_tokens": self.prompt.cached, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": sum(answer.thinking_tokens for answer in self.answers),
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": identifier("chatcmpl-", self.digest, 29),
            "object": kind,
            "created": CREATED_AT_S,
            "model": self.model,
            "service_tier": "default",
            "system_fingerprint": "fp_sandbox",
        }


def _message(answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if answer.calls and not answer.text else answer.text,
        "refusal": None,
        "annotations": [],
    }
    if answer.calls:
        message["tool_calls"] = [
            {
                "id": call_id("call_", call),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in answer.calls
        ]
    return message


def _choices(index: int, answer: Answer) -> Iterator[tuple[dict[str, Any], int]]:
    """Every `choice` of a streamed answer, with the tokens it stands for."""

    def choice(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}

    starts_with_calls = bool(answer.calls) and not answer.text
    opening = {"role": "assistant", "content": None if starts_with_calls else "", "refusal": None}
    yield choice(opening), 0
    thought = answer.thinking_tokens  # never shown, but they take their time
    for piece in pieces(answer.text):
        yield choice({"content": piece}), 1 + thought
        thought = 0
    for place, call in enumerate(answer.calls):
        for delta, cost in _call_deltas(place, call):
            yield choice({"tool_calls": [delta]}), cost + thought
            thought = 0
    yield choice({}, _FINISH[answer.finish]), thought


def _call_deltas(place: int, call: ToolCall) -> Iterator[tuple[dict[str, Any], int]]:
    yield (
        {
            "index": place,
            "id": call_id("call_", call),
            "type": "function",
            "function": {"name": call.name, "arguments": ""},
        },
        1,
    )
    for piece in pieces(call.arguments):
        yield {"index": place, "function": {"arguments": piece}}, 1
