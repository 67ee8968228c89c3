"""Converse's answers in OpenAI's shape; whole and streamed answers both use these functions.

| Converse | OpenAI |
|---|---|
| `text` blocks, joined | `content` |
| `reasoningContent` with text, joined | `reasoning_content` |
| `reasoningContent` signed or redacted | `thinking_blocks`, see `messages` |
| `toolUse` blocks | `tool_calls` |
| `citationsContent`, its text | `content` |
| `stopReason`: `malformed_model_output`, `malformed_tool_use` | `stop`, a sentence in `refusal` |

Converse tells neither an id nor the model, unless a prompt router chose it.

Source:
    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html
    Shape from the SDK's types (botocore 1.44.5); the pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from llm_core.chat.response import choice, completion, token_count, tool_call
from llm_core.providers.bedrock.errors import PROVIDER
from llm_core.providers.bedrock.messages import SIGNED_BY
from llm_core.providers.translator import Translated
from llm_core.tokens.usage import TokenUsage

_Object = dict[str, Any]

_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}


# OpenAI has no word for these; without a sentence they would look like an answer that says nothing.
_BROKEN = frozenset({"malformed_model_output", "malformed_tool_use"})


def from_bedrock(answer: Mapping[str, Any]) -> Translated:
    """Read a whole answer of Converse."""
    usage = usage_from_bedrock(answer.get("usage"))
    model = routed_model_from_bedrock(answer.get("trace"))
    body = completion(
        id_="",
        model=model or "",
        choices=[
            choice(
                message={
                    **message_from_bedrock(answer["output"]["message"]["content"]),
                    "refusal": refusal_from_bedrock(answer.get("stopReason")),
                },
                finish_reason=finish_reason_from_bedrock(answer.get("stopReason")),
            )
        ],
        usage=usage,
    )
    return Translated(body=body, usage=usage, served_model=model)


def message_from_bedrock(content: Sequence[object]) -> _Object:
    """The answer's message."""
    blocks = [block for block in content if isinstance(block, dict)]
    text = "".join(piece for block in blocks for piece in _texts(block))
    thoughts = [one for one in map(_reasoning, blocks) if one]
    reasoning = "".join(_text(_object(one.get("reasoningText")).get("text")) for one in thoughts)
    kept = [
        block
        for one in thoughts
        if (block := thinking_block_from_bedrock(_flat_reasoning(one))) is not None
    ]
    calls = [
        tool_call_from_bedrock(block["toolUse"])
        for block in blocks
        if isinstance(block.get("toolUse"), dict)
    ]
    answer: _Object = {
        "role": "assistant",
        # OpenAI has null where there are only tool calls, and text everywhere else.
        "content": None if calls and not text else text,
        "refusal": None,
    }
    if reasoning:
        answer["reasoning_content"] = reasoning
    if kept:
        answer["thinking_blocks"] = kept
    if calls:
        answer["tool_calls"] = calls
    return answer


def tool_call_from_bedrock(block: Mapping[str, Any]) -> _Object:
    """One call, its arguments as JSON text."""
    return tool_call(
        id_=_text(block.get("toolUseId")),
        name=_text(block.get("name")),
        arguments=msgspec.json.encode(block.get("input") or {}).decode(),
    )


def thinking_block_from_bedrock(reasoning: Mapping[str, Any]) -> _Object | None:
    """Reasoning as our caller keeps it; `None` when there is nothing to prove its origin by.

    Args:
        reasoning: `text` and `signature`, or `redactedContent`.
    """
    redacted = _text(reasoning.get("redactedContent"))
    if redacted:
        return {"type": "redacted_thinking", "data": redacted, "model": SIGNED_BY}
    signature = _text(reasoning.get("signature"))
    if not signature:
        return None
    text = _text(reasoning.get("text"))
    return {"type": "thinking", "thinking": text, "signature": signature, "model": SIGNED_BY}


def finish_reason_from_bedrock(stop_reason: object) -> str:
    """OpenAI's word for why the answer ended; a reason that is new to us reads as `stop`."""
    return _FINISH_REASONS.get(stop_reason, "stop") if isinstance(stop_reason, str) else "stop"


def refusal_from_bedrock(stop_reason: object) -> str | None:
    """A sentence for an answer that broke; `None` for every other."""
    if not isinstance(stop_reason, str) or stop_reason not in _BROKEN:
        return None
    return f"{PROVIDER} stopped this answer: {stop_reason}."


def usage_from_bedrock(usage: object) -> TokenUsage:
    """Read Bedrock's usage object.

    Its `inputTokens` leave out what was read from and written to the cache; ours are inclusive, so
    the three are added. Reasoning is in `outputTokens` and not told apart.

    Source:
        https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html
        https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html
        (excerpts seen 2026-11-20)
    """
    if not isinstance(usage, dict):
        return TokenUsage()
    fresh = token_count(usage.get("inputTokens"))
    read = token_count(usage.get("cacheReadInputTokens"))
    written = token_count(usage.get("cacheWriteInputTokens"))
    return TokenUsage(
        input_tokens=None if fresh is None else fresh + (read or 0) + (written or 0),
        cached_input_tokens=read,
        cache_write_tokens=written,
        output_tokens=token_count(usage.get("outputTokens")),
    )


def routed_model_from_bedrock(trace: object) -> str | None:
    """The model that a prompt router chose; Converse names the model in no other case."""
    router = _object(_object(trace).get("promptRouter"))
    return _text(router.get("invokedModelId")) or None


def _texts(block: Mapping[str, Any]) -> Iterator[str]:
    yield _text(block.get("text"))
    cited = _object(block.get("citationsContent")).get("content")
    for one in cited if isinstance(cited, list) else ():
        yield _text(_object(one).get("text"))


def _reasoning(block: Mapping[str, Any]) -> Mapping[str, Any]:
    return _object(block.get("reasoningContent"))


def _flat_reasoning(reasoning: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**_object(reasoning.get("reasoningText")), **reasoning}


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
