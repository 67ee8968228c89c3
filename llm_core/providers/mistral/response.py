"""Mistral's answers in OpenAI's shape.

| Mistral | OpenAI |
|---|---|
| `content`: text, or `text` chunks, joined | `content` |
| `thinking` chunks | `reasoning_content`, joined; and `thinking_blocks`, see `messages` |
| `tool_calls`, their arguments as text or as an object | the same, arguments as text |
| `finish_reason`: `model_length` | `length` |
| `finish_reason`: `error` | an error of the provider |
| `prompt_tokens_details.cached_tokens`, or `num_cached_tokens` | `cached_tokens` |

Source:
    https://docs.mistral.ai/api/endpoint/chat
    https://docs.mistral.ai/inference/conversations/advanced/prompt-caching
    Shape from the SDK's types (mistralai 3.7.0); the pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from llm_core.chat.response import choice, completion, token_count, tool_call, usage_from_openai
from llm_core.errors import ProviderUnavailable
from llm_core.providers.mistral.errors import PROVIDER
from llm_core.providers.translator import Translated
from llm_core.tokens.usage import TokenUsage

_Object = dict[str, Any]

_FINISH_REASONS = {
    "stop": "stop",
    "length": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
}


@dataclass(frozen=True, slots=True)
class Said:
    """What a `content` says, in one piece or in chunks.

    Args:
        text: For the reader.
        thinking: The reasoning before it.
        signature: Mistral's mark on the reasoning, when it has one.
    """

    text: str
    thinking: str
    signature: str | None


def from_mistral(answer: Mapping[str, Any]) -> Translated:
    """Read a whole `chat.completion`.

    Raises:
        ProviderUnavailable: Mistral broke the answer off with an error of its own.
    """
    model = _text(answer.get("model"))
    usage = usage_from_mistral(answer.get("usage"))
    choices = [
        choice(
            index=index,
            message=message_from_mistral(given.get("message"), model),
            finish_reason=finish_reason_from_mistral(given.get("finish_reason")),
        )
        | {"logprobs": given.get("logprobs")}
        for index, given in enumerate(answer["choices"])
    ]
    created = answer.get("created")
    body = completion(
        id_=_text(answer.get("id")),
        model=model,
        choices=choices,
        usage=usage,
        created=created if isinstance(created, int) else 0,
    )
    return Translated(body=body, usage=usage, served_model=model or None)


def message_from_mistral(message: object, model: str) -> _Object:
    """The answer's message."""
    given = message if isinstance(message, dict) else {}
    said = said_from_mistral(given.get("content"))
    given_calls = given.get("tool_calls")
    calls = [
        tool_call(
            id_=_text(call.get("id")),
            name=_text(_function(call).get("name")),
            arguments=arguments_from_mistral(_function(call).get("arguments")),
        )
        for call in (given_calls if isinstance(given_calls, list) else [])
        if isinstance(call, dict)
    ]
    answer: _Object = {
        "role": "assistant",
        # OpenAI has null where there are only tool calls, and text everywhere else.
        "content": None if calls and not said.text else said.text,
        "refusal": None,
    }
    if said.thinking:
        answer["reasoning_content"] = said.thinking
        answer["thinking_blocks"] = [thinking_block(said.thinking, said.signature, model)]
    if calls:
        answer["tool_calls"] = calls
    return answer


def said_from_mistral(content: object) -> Said:
    """Read a `content`, of a whole answer or of a delta; other kinds of chunks say nothing."""
    if isinstance(content, str):
        return Said(content, "", None)
    chunks = [c for c in content if isinstance(c, dict)] if isinstance(content, list) else []
    thoughts = [chunk for chunk in chunks if chunk.get("type") == "thinking"]
    signatures = [_text(thought.get("signature")) for thought in thoughts]
    return Said(
        text=_joined(chunks),
        thinking="".join(_thought(thought.get("thinking")) for thought in thoughts),
        signature=next((signature for signature in signatures if signature), None),
    )


def thinking_block(thinking: str, signature: str | None, model: str) -> _Object:
    """A thinking chunk as our caller keeps it, with the model that thought it."""
    block: _Object = {"type": "thinking", "thinking": [{"type": "text", "text": thinking}]}
    if signature:
        block["signature"] = signature
    return {**block, "model": model}


def arguments_from_mistral(arguments: object) -> str:
    """The arguments of a call as JSON text."""
    if isinstance(arguments, str):
        return arguments
    return msgspec.json.encode({} if arguments is None else arguments).decode()


def finish_reason_from_mistral(finish_reason: object) -> str:
    """OpenAI's word for why the answer ended; a reason that is new to us reads as `stop`.

    Raises:
        ProviderUnavailable: It ended in an error of Mistral's.
    """
    if finish_reason == "error":
        raise ProviderUnavailable(f"{PROVIDER} broke its answer off with an error of its own.")
    return _FINISH_REASONS.get(finish_reason, "stop") if isinstance(finish_reason, str) else "stop"


def usage_from_mistral(usage: object) -> TokenUsage:
    """Read Mistral's usage object, inclusive as OpenAI's; cached tokens have three names in use."""
    if not isinstance(usage, dict):
        return TokenUsage()
    read = usage_from_openai(usage)
    if read.cached_input_tokens is not None:
        return read
    older = usage.get("prompt_token_details")
    named_so = older.get("cached_tokens") if isinstance(older, dict) else None
    cached = token_count(usage.get("num_cached_tokens", named_so))
    return replace(read, cached_input_tokens=cached)


def _function(call: Mapping[str, Any]) -> Mapping[str, Any]:
    function = call.get("function")
    return function if isinstance(function, dict) else {}


def _thought(parts: object) -> str:
    if isinstance(parts, str):
        return parts
    return _joined([p for p in parts if isinstance(p, dict)]) if isinstance(parts, list) else ""


def _joined(chunks: list[_Object]) -> str:
    return "".join(_text(chunk.get("text")) for chunk in chunks if chunk.get("type") == "text")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
