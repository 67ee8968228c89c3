"""A chat completion as Anthropic's message.

| OpenAI | Anthropic |
|---|---|
| `thinking_blocks`, else `reasoning_content` | `thinking` and `redacted_thinking` blocks |
| `content`, `refusal` | one `text` block |
| `tool_calls` | `tool_use` blocks |
| `finish_reason` | `stop_reason`; which stop sequence it was is not known |
| `prompt_tokens`, inclusive | `input_tokens`, without what was read from or written to the cache |

Source:
    https://platform.claude.com/docs/en/api/messages (checked 2026-11-20)
    https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons (checked 2026-11-20)
    https://platform.claude.com/docs/en/build-with-claude/prompt-caching (checked 2026-11-20)
"""

from collections.abc import Mapping
from typing import Any

from llm_core.apis.messages.thoughts import block_of_thought
from llm_core.chat.encoding import decode_object
from llm_core.chat.response import usage_from_openai

_Object = dict[str, Any]

SIGNED = "extra_content"
"""Where Gemini's signature of a call stands: beside it, as in chat.

Clients that send blocks back as they came send it too; without it Gemini is told that the call is
not its own.
"""

_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


def message_of(completion: Mapping[str, Any]) -> _Object:
    """Put a whole `chat.completion` into a message; of several answers the first."""
    choices = completion.get("choices") or [{}]
    said = choices[0].get("message") or {}
    refusal = said.get("refusal") or None
    begun = opening(completion)
    calls = [
        tool_use(call, number, begun["id"])
        for number, call in enumerate(said.get("tool_calls") or ())
    ]
    text = (said.get("content") or "") + (refusal or "")
    reason = stop_reason(
        choices[0].get("finish_reason"), has_calls=bool(calls), is_refused=refusal is not None
    )
    return {
        **begun,
        "content": [*_thinking(said), *([{"type": "text", "text": text}] if text else []), *calls],
        **stop(reason, refusal),
        "usage": usage_of(completion.get("usage")),
    }


def opening(answer: Mapping[str, Any]) -> _Object:
    """The members by which a message begins, from a completion or a chunk."""
    id_ = answer.get("id") or "unnamed"
    return {
        "id": id_ if str(id_).startswith("msg_") else f"msg_{id_}",
        "type": "message",
        "role": "assistant",
        "model": answer.get("model") or "",
    }


def stop(reason: str | None, refusal: str | None) -> _Object:
    """Why a message ended, as its own members and as those of a stream's `message_delta`."""
    details = None
    if refusal is not None:
        details = {"type": "refusal", "category": None, "explanation": refusal}
    return {"stop_reason": reason, "stop_sequence": None, "stop_details": details}


def stop_reason(finish_reason: object, *, has_calls: bool, is_refused: bool) -> str:
    """Anthropic's word for why the answer ended.

    Some servers say `stop` behind a call; whoever made the tool waits for `tool_use`.
    """
    if is_refused:
        return "refusal"
    reason = _STOP_REASONS.get(finish_reason) if isinstance(finish_reason, str) else None
    if has_calls and reason in (None, "end_turn"):
        return "tool_use"
    return reason or "end_turn"


def usage_of(usage: object) -> _Object:
    """Anthropic's usage object; its numbers cannot be null, so what is not known is zero."""
    read = usage_from_openai(usage if isinstance(usage, dict) else {})
    cached = read.cached_input_tokens or 0
    written = read.cache_write_tokens or 0
    told: _Object = {
        "input_tokens": max(0, (read.input_tokens or 0) - cached - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "output_tokens": read.output_tokens or 0,
    }
    if read.reasoning_tokens is not None:
        told["output_tokens_details"] = {"thinking_tokens": read.reasoning_tokens}
    return told


def tool_use(call: Mapping[str, Any], number: int, message_id: str) -> _Object:
    """A call as a block; arguments that are no JSON object are left empty.

    Args:
        call: Of the answer, or added up from a stream.
        number: Which call of the answer it is.
        message_id: Makes up the call's id where the server gave none.
    """
    function = call.get("function") or {}
    kept = call.get(SIGNED)
    return {
        "type": "tool_use",
        "id": call.get("id") or f"toolu_{message_id}_{number}",
        "name": function.get("name") or "",
        "input": decode_object((function.get("arguments") or "").encode()) or {},
        **({SIGNED: kept} if isinstance(kept, dict) else {}),
    }


def _thinking(said: Mapping[str, Any]) -> list[_Object]:
    thoughts = [thought for thought in said.get("thinking_blocks") or () if thought]
    blocks = [block for one in thoughts if (block := block_of_thought(one)) is not None]
    unsigned = said.get("reasoning_content") or said.get("reasoning")
    if unsigned and not any(block.get("thinking") for block in blocks):
        return [{"type": "thinking", "thinking": unsigned, "signature": ""}, *blocks]
    return blocks
