"""Writes an answer as Mistral does, whole or as chunks.

Source:
    https://docs.mistral.ai/api/endpoint/chat and
    https://docs.mistral.ai/inference/conversations/reasoning (checked 2026-11-20)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.answers import Answer, Finish, ToolCall
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
_ID_LENGTH = 9


@dataclass(frozen=True, slots=True)
class MistralReply:
    """One answer with all its choices.

    Args:
        digest: The request's; fixes the ids.
        model: The served model.
        answers: One for every choice.
        prompt: Size of the prompt.
    """

    digest: str
    model: str
    answers: Sequence[Answer]
    prompt: PromptSize

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
                "finish_reason": _FINISH[answer.finish],
            }
            for index, answer in enumerate(self.answers)
        ]
        if has_usage:
            body["usage"] = self._usage()
        return body

    def events(self, *, has_usage: bool) -> list[Event]:
        """`chat.completion.chunk` objects; usage is in the very last one."""
        chunks = [
            ({**self._head("chat.completion.chunk"), "choices": [choice]}, tokens)
            for index, answer in enumerate(self.answers)
            for choice, tokens in _choices(index, answer)
        ]
        if has_usage:
            chunks[-1][0]["usage"] = self._usage()
        return [*(data_event(*chunk) for chunk in chunks), Event(b"data: [DONE]\n\n")]

    def _usage(self) -> dict[str, Any]:
        usage: dict[str, Any] = {
            "prompt_tokens": self.prompt.total,
            "total_tokens": self.prompt.total + self.output_tokens,
            "completion_tokens": self.output_tokens,
        }
        if self.prompt.cached:
            usage["prompt_tokens_details"] = {"cached_tokens": self.prompt.cached}
        return usage

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": identifier("", self.digest, 32).lower(),
            "object": kind,
            "created": CREATED_AT_S,
            "model": self.model,
        }


def _message(answer: Answer) -> dict[str, Any]:
    content: str | list[dict[str, Any]] = answer.text
    if answer.thinking:
        content = [_thought(answer.thinking)]
        if answer.text:
            content.append({"type": "text", "text": answer.text})
    calls = [_call(place, call) for place, call in enumerate(answer.calls)]
    return {"role": "assistant", "tool_calls": calls or None, "content": content}


def _thought(text: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}


def _call(place: int, call: ToolCall) -> dict[str, Any]:
    return {
        "id": identifier("", call.seed, _ID_LENGTH),
        "function": {"name": call.name, "arguments": call.arguments},
        "index": place,
    }


def _choices(index: int, answer: Answer) -> Iterator[tuple[dict[str, Any], int]]:
    """Every `choice` of a streamed answer, with the tokens it stands for.

    Calls come whole, all in one chunk with the finish reason, as Mistral's own models send them.
    """

    def choice(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {"index": index, "delta": delta, "finish_reason": finish, "logprobs": None}

    yield choice({"role": "assistant", "content": ""}), 0
    for piece in pieces(answer.thinking):
        yield choice({"content": [_thought(piece)]}), 1
    for piece in pieces(answer.text):
        said: Any = [{"type": "text", "text": piece}] if answer.thinking else piece
        yield choice({"content": said}), 1
    last: dict[str, Any] = {"content": ""}
    if answer.calls:
        last["tool_calls"] = [_call(place, call) for place, call in enumerate(answer.calls)]
    tokens = sum(call.tokens for call in answer.calls)
    yield choice(last, _FINISH[answer.finish]), tokens
