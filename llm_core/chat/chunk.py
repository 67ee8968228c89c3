"""OpenAI's streamed answer, `chat.completion.chunk`: building chunks, and adding them up.

Source:
    https://platform.openai.com/docs/api-reference/chat/streaming (checked 2026-11-20)
"""

from collections.abc import Iterable, Mapping
from typing import Any

from llm_core.chat.response import usage_to_openai
from llm_core.tokens.usage import TokenUsage

_Object = dict[str, Any]

# Text that comes in pieces. `reasoning_content` (DeepSeek, vLLM, and ours) and `reasoning`
# (OpenRouter, newer vLLM) are not OpenAI's, but every client that shows reasoning reads one.
_TEXT_FIELDS = ("content", "refusal", "reasoning_content", "reasoning")
_ENVELOPE_FIELDS = ("id", "created", "model", "system_fingerprint", "service_tier")


def chunk(
    *,
    id_: str,
    model: str,
    delta: Mapping[str, Any],
    finish_reason: str | None = None,
    index: int = 0,
    created: int = 0,
) -> _Object:
    """Build a chunk with one choice.

    Args:
        id_: The provider's id for the answer; the same in every chunk.
        model: The served model.
        delta: What is added to the message.
        finish_reason: Set in the choice's last chunk.
        index: Which choice.
        created: Unix seconds. The core reads no clock; who sends the chunk on may set it.
    """
    return {
        "id": id_,
        "object": "chat.completion.chunk",
        "created": created,
        "model": model,
        "choices": [
            {
                "index": index,
                "delta": dict(delta),
                "logprobs": None,
                "finish_reason": finish_reason,
            }
        ],
    }


def usage_chunk(*, id_: str, model: str, usage: TokenUsage, created: int = 0) -> _Object:
    """Build the last chunk: usage and no choices."""
    return {
        "id": id_,
        "object": "chat.completion.chunk",
        "created": created,
        "model": model,
        "choices": [],
        "usage": usage_to_openai(usage),
    }


def chunks_of(completion: Mapping[str, Any]) -> list[_Object]:
    """The chunks of a stream that folds to this `chat.completion`: a choice each, then its end."""
    envelope = {name: completion[name] for name in _ENVELOPE_FIELDS if completion.get(name)}
    envelope["object"] = "chat.completion.chunk"
    chunks: list[_Object] = []
    for answered in completion.get("choices") or ():
        index = answered.get("index", 0)
        said = {name: v for name, v in (answered.get("message") or {}).items() if v is not None}
        calls = said.get("tool_calls")
        if calls:
            said["tool_calls"] = [{"index": at, **call} for at, call in enumerate(calls)]
        opening = {"index": index, "delta": said, "logprobs": answered.get("logprobs")}
        end = {"index": index, "delta": {}, "logprobs": None}
        chunks += [
            {**envelope, "choices": [{**opening, "finish_reason": None}]},
            {**envelope, "choices": [{**end, "finish_reason": answered.get("finish_reason")}]},
        ]
    if completion.get("usage"):
        chunks.append({**envelope, "choices": [], "usage": completion["usage"]})
    return chunks


def fold(chunks: Iterable[Mapping[str, Any]]) -> _Object:
    """Add chunks up to the `chat.completion` that the same answer would have been, not streamed.

    A cut stream folds to what has arrived: `finish_reason` stays null, and without a usage chunk
    there is no `usage`.
    """
    body: _Object = {"id": "", "object": "chat.completion", "created": 0, "model": ""}
    choices: dict[int, _Object] = {}
    usage: object = None
    for piece in chunks:
        for name in _ENVELOPE_FIELDS:
            if piece.get(name):
                # The first that says something: Azure's first chunk has empty names.
                body[name] = body.get(name) or piece[name]
        usage = piece.get("usage") or usage
        for streamed in piece.get("choices") or ():
            index = streamed.get("index", 0)
            _add(choices.setdefault(index, _empty_choice(index)), streamed)
    body["choices"] = [choices[index] for index in sorted(choices)]
    for folded in body["choices"]:
        _close(folded["message"])
    if usage:
        body["usage"] = usage
    return body


def _empty_choice(index: int) -> _Object:
    return {
        "index": index,
        "message": {"role": "assistant", "content": None},
        "logprobs": None,
        "finish_reason": None,
    }


def _add(folded: _Object, streamed: Mapping[str, Any]) -> None:
    folded["finish_reason"] = streamed.get("finish_reason") or folded["finish_reason"]
    logprobs = streamed.get("logprobs")
    if logprobs:
        folded["logprobs"] = folded["logprobs"] or {}
        _extend_lists(folded["logprobs"], logprobs)
    message = folded["message"]
    for name, value in (streamed.get("delta") or {}).items():
        if name == "tool_calls":
            _add_tool_calls(message, value or ())
        elif name == "function_call":
            _add_call(message.setdefault(name, {}), value or {})
        elif name in _TEXT_FIELDS:
            _add_text(message, name, value)
        elif isinstance(value, list):
            _gathered(message, name).extend(value)
        elif value is not None or name not in message:
            message[name] = value


class _Pieces(list[str]):
    """A text that is still growing: joined once, or adding it up would be quadratic."""


def _gathered(owner: _Object, name: str) -> list[Any]:
    """The member as a list of our own, to add to."""
    if not isinstance(owner.get(name), list):
        owner[name] = []
    gathered: list[Any] = owner[name]
    return gathered


def _add_text(owner: _Object, name: str, value: str | None) -> None:
    # OpenAI opens a stream of tool calls with `content: null`, and a text with `content: ""`.
    if value is None:
        owner.setdefault(name, None)
    elif isinstance(owner.get(name), _Pieces):
        owner[name].append(value)
    else:
        owner[name] = _Pieces([value])


def _joined(owner: _Object) -> None:
    for name, value in owner.items():
        if isinstance(value, _Pieces):
            owner[name] = "".join(value)
        elif name in ("function", "custom", "function_call") and isinstance(value, dict):
            _joined(value)


def _add_tool_calls(message: _Object, deltas: Iterable[Mapping[str, Any]]) -> None:
    # Kept by index until the end: calls may come interleaved.
    calls = message.setdefault("tool_calls", {})
    for delta in deltas:
        _add_call(calls.setdefault(delta.get("index", len(calls)), {}), delta)


def _add_call(call: _Object, delta: Mapping[str, Any]) -> None:
    for name, value in delta.items():
        if name == "index":
            continue
        if name in ("function", "custom") and isinstance(call.get(name, value), dict):
            _add_call(call.setdefault(name, {}), value or {})
        elif name in ("arguments", "input"):
            _add_text(call, name, value or "")
        elif value is not None:
            call[name] = value


def _close(message: _Object) -> None:
    calls = message.get("tool_calls")
    _joined(message)
    if calls is not None:
        for call in calls.values():
            _joined(call)
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
        # A stream opens with an empty text; a whole answer that is all calls has none.
        message["content"] = message["content"] or None


def _extend_lists(target: _Object, more: Mapping[str, Any]) -> None:
    for name, values in more.items():
        if values:
            _gathered(target, name).extend(values)
        else:
            target.setdefault(name, None)
