"""A chat completion as a response, and back."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from llm_core.apis.dialect import EventWriter
from llm_core.apis.responses.building import ResponseBuilder, objects
from llm_core.apis.responses.output import finish_reason, usage_from_response
from llm_core.apis.responses.thoughts import is_ours, unsealed
from llm_core.chat.chunk import chunks_of
from llm_core.chat.response import choice, completion
from llm_core.errors import GatewayError, error_body
from llm_core.sse import encode_event

_Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ResponsesDialect:
    """Implements `Dialect`.

    Args:
        echo: What the response repeats of its request.
        model: The asked model.
        summarises: Thoughts are told as a summary.
    """

    echo: Mapping[str, Any]
    model: str
    summarises: bool

    def body(self, completion: Mapping[str, Any]) -> _Object:
        """Put a whole `chat.completion` as a response: what its stream would have added up to."""
        builder = self._builder()
        for chunk in chunks_of(_sound(completion)):
            for _ in builder.add(chunk):
                pass
        for _ in builder.end():
            pass
        return builder.response

    def events(self) -> EventWriter:
        """Start writing a streamed response."""
        return ResponseWriter(self._builder())

    def completion(self, body: Mapping[str, Any]) -> _Object:
        """Read a response as a chat completion: text, refusal, thoughts, calls, usage."""
        message: _Object = {"role": "assistant", "content": None}
        for item in body.get("output") or ():
            _read_item(item, message)
        return completion(
            id_=body["id"],
            model=body["model"],
            choices=[choice(message=message, finish_reason=finish_reason(body))],
            usage=usage_from_response(body.get("usage")),
            created=int(body.get("created_at") or 0),
        )

    def _builder(self) -> ResponseBuilder:
        return ResponseBuilder(self.echo, self.model, summarises=self.summarises)


class ResponseWriter:
    """Numbers and encodes the events; implements `EventWriter`."""

    def __init__(self, builder: ResponseBuilder) -> None:
        """Start with nothing written."""
        self._builder = builder
        self._numbered = Numbered()

    def write(self, chunk: Mapping[str, Any]) -> Sequence[bytes]:
        """Give the events that a `chat.completion.chunk` makes."""
        return self._numbered.encoded(self._builder.add(chunk))

    def end(self) -> Sequence[bytes]:
        """Give the last events; nothing stands behind `response.completed`."""
        return self._numbered.encoded(self._builder.end())

    def failed(self, error: GatewayError) -> bytes:
        """Tell an error in the middle of the stream."""
        return self._numbered.failed(error)


@dataclass(slots=True)
class Numbered:
    """Encodes events under their names, each with its number.

    Args:
        count: How many events there have been.
    """

    count: int = 0

    def encoded(self, events: Iterable[_Object]) -> list[bytes]:
        """Give the events as they go over the wire.

        They are encoded one by one as they are made: an event shows the response as it then is.
        """
        return [self._encoded(event) for event in events]

    def failed(self, error: GatewayError) -> bytes:
        """The `error` event.

        The API's reference has the members side by side; OpenAI sends them inside `error` as well,
        which is where its SDK looks before it raises.
        """
        told = error_body(error)["error"]
        members = {name: told[name] for name in ("code", "message", "param")}
        return self._encoded({"type": "error", **members, "error": told})

    def _encoded(self, event: _Object) -> bytes:
        numbered = {**event, "sequence_number": self.count}
        self.count += 1
        return encode_event(msgspec.json.encode(numbered), event["type"])


def _sound(completion: Mapping[str, Any]) -> _Object:
    """A completion with nothing in it that is not an answer, whatever the server has sent."""
    answered = [
        {
            **one,
            "message": {**one["message"], "tool_calls": objects(one["message"].get("tool_calls"))},
        }
        for one in objects(completion.get("choices"))
        if isinstance(one.get("message"), dict)
    ]
    return {**completion, "choices": answered}


def _read_item(item: Mapping[str, Any], message: _Object) -> None:
    match item.get("type"):
        case "message":
            for part in item.get("content") or ():
                is_refusal = part.get("type") == "refusal"
                name, member = ("refusal", "refusal") if is_refusal else ("content", "text")
                message[name] = (message.get(name) or "") + part.get(member, "")
        case "reasoning":
            _read_thoughts(item, message)
        case "function_call":
            made = {"name": item["name"], "arguments": item["arguments"]}
            _read_call(item, message, {"type": "function", "function": made})
        case "custom_tool_call":
            made = {"name": item["name"], "input": item["input"]}
            _read_call(item, message, {"type": "custom", "custom": made})
        case _:
            return
    if item.get("extra_content") and item["type"] == "message":
        message["extra_content"] = item["extra_content"]


def _read_thoughts(item: Mapping[str, Any], message: _Object) -> None:
    said = "".join(part.get("text", "") for part in item.get("content") or item["summary"])
    if said:
        message["reasoning_content"] = message.get("reasoning_content", "") + said
    sealed_ = item.get("encrypted_content")
    if is_ours(sealed_):
        message["thinking_blocks"] = [*message.get("thinking_blocks", ()), *unsealed(str(sealed_))]


def _read_call(item: Mapping[str, Any], message: _Object, made: _Object) -> None:
    call = {"id": item["call_id"], **made}
    if item.get("extra_content"):
        call["extra_content"] = item["extra_content"]
    message.setdefault("tool_calls", []).append(call)
