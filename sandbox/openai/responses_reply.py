"""Writes an answer as a response, whole or as events.

Source:
    https://platform.openai.com/docs/api-reference/responses/object and
    https://platform.openai.com/docs/api-reference/responses-streaming (checked 2026-11-20)
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.answers import Answer, Finish, ToolCall, call_id
from sandbox.identifiers import CREATED_AT_S, identifier
from sandbox.openai.question import PromptSize
from sandbox.openai.responses_validation import SEALED
from sandbox.tokens import pieces
from sandbox.wire import Event, named_event

_Object = dict[str, Any]
_DEFAULTS: Mapping[str, Any] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


@dataclass(frozen=True, slots=True)
class ResponsesReply:
    """One answer.

    Args:
        digest: The request's; fixes the ids.
        model: The served model.
        answer: What is said.
        prompt: Size of the prompt.
        payload: The request, which a response repeats.
    """

    digest: str
    model: str
    answer: Answer
    prompt: PromptSize
    payload: Mapping[str, Any]

    @property
    def output_tokens(self) -> int:
        """Thoughts, text and calls."""
        return self.answer.output_tokens

    def whole(self, *, has_usage: bool) -> _Object:
        """A `response` object."""
        return self._last(has_usage=has_usage)

    def events(self, *, has_usage: bool) -> list[Event]:
        """Every event that OpenAI sends for such an answer, numbered."""
        last = self._last(has_usage=has_usage)
        made = [*self._opening(), *self._told(), ({"type": f"response.{last['status']}"}, 0)]
        made[-1][0]["response"] = last
        return [
            named_event({**document, "sequence_number": number}, tokens)
            for number, (document, tokens) in enumerate(made)
        ]

    def _opening(self) -> Iterator[tuple[_Object, int]]:
        response = self._head("in_progress")
        yield {"type": "response.created", "response": response}, 0
        yield {"type": "response.in_progress", "response": response}, 0

    def _told(self) -> Iterator[tuple[_Object, int]]:
        for index, item in enumerate(self._output()):
            place = {"output_index": index, "item_id": item["id"]}
            start = {**item, **_EMPTY[item["type"]]}
            added = {"type": "response.output_item.added", "output_index": index, "item": start}
            # Thoughts are not told, but they take their time.
            yield added, self.answer.thinking_tokens if item["type"] == "reasoning" else 0
            match item["type"]:
                case "reasoning":
                    yield from _summary(item, place)
                case "message":
                    yield from _text(item, place)
                case _:
                    yield from _arguments(item, place)
            yield {"type": "response.output_item.done", "output_index": index, "item": item}, 0

    def _last(self, *, has_usage: bool) -> _Object:
        is_cut = self.answer.finish is Finish.LENGTH
        response = self._head("incomplete" if is_cut else "completed")
        response["incomplete_details"] = {"reason": "max_output_tokens"} if is_cut else None
        response["output"] = self._output()
        response["usage"] = self._usage() if has_usage else None
        return response

    def _head(self, status: str) -> _Object:
        echoed = {
            name: default if self.payload.get(name) is None else self.payload[name]
            for name, default in _DEFAULTS.items()
        }
        return {
            "id": identifier("resp_", self.digest, 40),
            "object": "response",
            "created_at": CREATED_AT_S,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "model": self.model,
            "output": [],
            "service_tier": "default",
            "usage": None,
            **echoed,
        }

    def _output(self) -> list[_Object]:
        answer, output = self.answer, list[_Object]()
        if answer.thinking:
            output.append(self._thoughts())
        if answer.text or not answer.calls:
            text = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}
            is_cut = answer.finish is Finish.LENGTH and not answer.calls
            message = {
                "id": identifier("msg_", self.digest, 40),
                "type": "message",
                "status": "incomplete" if is_cut else "completed",
                "role": "assistant",
                "content": [text],
            }
            output.append(message)
        return [*output, *(_call(call) for call in answer.calls)]

    def _thoughts(self) -> _Object:
        wanted = (self.payload.get("reasoning") or {}).get("summary")
        summary = [{"type": "summary_text", "text": self.answer.thinking}] if wanted else []
        return {
            "id": identifier("rs_", self.digest, 40),
            "type": "reasoning",
            "summary": summary,
            "encrypted_content": identifier(SEALED, self.digest, 40),
        }

    def _usage(self) -> _Object:
        return {
            "input_tokens": self.prompt.total,
            "input_tokens_details": {"cached_tokens": self.prompt.cached, "cache_write_tokens": 0},
            "output_tokens": self.output_tokens,
            "output_tokens_details": {"reasoning_tokens": self.answer.thinking_tokens},
            "total_tokens": self.prompt.total + self.output_tokens,
        }


_EMPTY: Mapping[str, _Object] = {
    "message": {"status": "in_progress", "content": []},
    "reasoning": {"summary": []},
    "function_call": {"status": "in_progress", "arguments": ""},
}


def _call(call: ToolCall) -> _Object:
    return {
        "id": identifier("fc_", call.seed, 40),
        "type": "function_call",
        "status": "completed",
        "arguments": call.arguments,
        "call_id": call_id("call_", call),
        "name": call.name,
    }


def _text(item: _Object, place: _Object) -> Iterator[tuple[_Object, int]]:
    part = item["content"][0]
    at = {**place, "content_index": 0}
    yield {"type": "response.content_part.added", **at, "part": {**part, "text": ""}}, 0
    for piece in pieces(part["text"]):
        yield {"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []}, 1
    yield {"type": "response.output_text.done", **at, "text": part["text"], "logprobs": []}, 0
    yield {"type": "response.content_part.done", **at, "part": part}, 0


def _summary(item: _Object, place: _Object) -> Iterator[tuple[_Object, int]]:
    name = "response.reasoning_summary"
    for index, part in enumerate(item["summary"]):
        at = {**place, "summary_index": index}
        yield {"type": f"{name}_part.added", **at, "part": {**part, "text": ""}}, 0
        for piece in pieces(part["text"]):
            yield {"type": f"{name}_text.delta", **at, "delta": piece}, 0
        yield {"type": f"{name}_text.done", **at, "text": part["text"]}, 0
        yield {"type": f"{name}_part.done", **at, "part": part}, 0


def _arguments(item: _Object, place: _Object) -> Iterator[tuple[_Object, int]]:
    name = "response.function_call_arguments"
    for piece in pieces(item["arguments"]):
        yield {"type": f"{name}.delta", **place, "delta": piece}, 1
    made = {"arguments": item["arguments"], "name": item["name"]}
    yield {"type": f"{name}.done", **place, **made}, 1
