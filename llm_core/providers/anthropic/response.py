"""Anthropic's answers in OpenAI's shape; whole and streamed answers both use these functions.

| Anthropic | OpenAI |
|---|---|
| text blocks, joined | `content` |
| `thinking` blocks, joined | `reasoning_content` |
| `thinking` and `redacted_thinking` blocks | `thinking_blocks`, see `messages` |
| `tool_use` blocks | `tool_calls` |
| `stop_details.explanation` of a refusal | `refusal` |

Source:
    https://platform.claude.com/docs/en/api/messages (checked 2026-11-20)
    https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons (checked 2026-11-20)
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from llm_core.chat.response import choice, completion, token_count, tool_call
from llm_core.providers.translator import Translated
from llm_core.tokens.usage import TokenUsage

_Object = dict[str, Any]

_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    # Only server-side tools pause a turn, and none of those is ever offered.
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def from_anthropic(message: Mapping[str, Any]) -> Translated:
    """Read a whole `message`."""
    model = _text(message.get("model"))
    usage = usage_from_anthropic(message.get("usage"))
    body = completion(
        id_=_text(message.get("id")),
        model=model,
        choices=[
            choice(
                message=message_from_anthropic(message),
                finish_reason=finish_reason_from_anthropic(message.get("stop_reason")),
            )
        ],
        usage=usage,
    )
    return Translated(body=body, usage=usage, served_model=model or None)


def message_from_anthropic(message: Mapping[str, Any]) -> _Object:
    """The answer's message."""
    blocks = [block for block in message["content"] if isinstance(block, dict)]
    model = _text(message.get("model"))
    content = "".join(_text(b.get("text")) for b in blocks if b.get("type") == "text")
    reasoning = "".join(_text(b.get("thinking")) for b in blocks if b.get("type") == "thinking")
    thinking_blocks = [
        thinking_block_from_anthropic(b, model)
        for b in blocks
        if b.get("type") in ("thinking", "redacted_thinking")
    ]
    calls = [tool_call_from_anthropic(b) for b in blocks if b.get("type") == "tool_use"]
    answer: _Object = {
        "role": "assistant",
        # OpenAI has null where there are only tool calls, and text everywhere else.
        "content": None if calls and not content else content,
        "refusal": refusal_from_anthropic(message),
    }
    if reasoning:
        answer["reasoning_content"] = reasoning
    if thinking_blocks:
        answer["thinking_blocks"] = thinking_blocks
    if calls:
        answer["tool_calls"] = calls
    return answer


def tool_call_from_anthropic(block: Mapping[str, Any]) -> _Object:
    """One call, its arguments as JSON text."""
    return tool_call(
        id_=_text(block.get("id")),
        name=_text(block.get("name")),
        arguments=msgspec.json.encode(block.get("input") or {}).decode(),
    )


def thinking_block_from_anthropic(block: Mapping[str, Any], model: str) -> _Object:
    """A thinking block as our caller keeps it, with the model that signed it."""
    return {**block, "model": model}


def refusal_from_anthropic(stopped: Mapping[str, Any]) -> str | None:
    """Anthropic's sentence about a refusal, from a message or from a `message_delta`'s delta."""
    details = stopped.get("stop_details")
    if stopped.get("stop_reason") != "refusal" or not isinstance(details, dict):
        return None
    return _text(details.get("explanation")) or None


def finish_reason_from_anthropic(stop_reason: object) -> str:
    """OpenAI's word for why the answer ended; a reason that is new to us reads as `stop`."""
    return _FINISH_REASONS.get(stop_reason, "stop") if isinstance(stop_reason, str) else "stop"


def usage_from_anthropic(usage: object) -> TokenUsage:
    """Read Anthropic's usage object.

    Its `input_tokens` leave out what was read from and written to the cache; ours are inclusive, so
    the three are added. `output_tokens` are inclusive on both sides.

    Source:
        https://platform.claude.com/docs/en/build-with-claude/prompt-caching (checked 2026-11-20)
    """
    if not isinstance(usage, dict):
        return TokenUsage()
    fresh = token_count(usage.get("input_tokens"))
    read = token_count(usage.get("cache_read_input_tokens"))
    written = token_count(usage.get("cache_creation_input_tokens"))
    details = usage.get("output_tokens_details")
    return TokenUsage(
        input_tokens=None if fresh is None else fresh + (read or 0) + (written or 0),
        cached_input_tokens=read,
        cache_write_tokens=written,
        output_tokens=token_count(usage.get("output_tokens")),
        reasoning_tokens=(
            token_count(details.get("thinking_tokens")) if isinstance(details, dict) else None
        ),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
