"""Cohere's answers in OpenAI's shape; whole and streamed answers both use these functions.

| Cohere | OpenAI |
|---|---|
| `text` blocks, joined | `content` |
| `thinking` blocks, then `tool_plan` | `reasoning_content` |
| `tool_calls` | the same; arguments that are missing or `null` read `{}` |
| `citations` | `citations`, beside `content` |
| `COMPLETE`, `STOP_SEQUENCE` | `stop` |
| `MAX_TOKENS` | `length` |
| `TOOL_CALL` | `tool_calls` |
| `ERROR`, `TIMEOUT` | an error of the provider |

`tool_plan` is what a model thinks before it calls, by Cohere's own words "a chain-of-thought style
reflection"; it is no answer to the user, so it goes where thinking goes. Cohere does not say which
model it used.

Source:
    https://docs.cohere.com/reference/chat
    Shape from the SDK's types (cohere 7.3.1); the pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Mapping
from typing import Any

from llm_core.chat.response import choice, completion, token_count, tool_call
from llm_core.providers.cohere.errors import failure_of_generation
from llm_core.providers.translator import Translated
from llm_core.tokens.usage import TokenUsage

_Object = dict[str, Any]

_FINISH_REASONS = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
}
NO_ARGUMENTS = ("", "null")


def from_cohere(answer: Mapping[str, Any]) -> Translated:
    """Read a whole answer.

    Raises:
        ProviderError: Cohere broke the answer off.
    """
    failure = failure_of_generation(answer.get("finish_reason"))
    if failure is not None:
        raise failure
    usage = usage_from_cohere(answer.get("usage"))
    body = completion(
        id_=_text(answer.get("id")),
        model="",
        choices=[
            choice(
                message=message_from_cohere(answer["message"]),
                finish_reason=finish_reason_from_cohere(answer.get("finish_reason")),
            )
        ],
        usage=usage,
    )
    return Translated(body=body, usage=usage, served_model=None)


def message_from_cohere(message: Mapping[str, Any]) -> _Object:
    """The answer's message."""
    blocks = _objects(message.get("content"))
    content = "".join(_text(b.get("text")) for b in blocks if b.get("type") == "text")
    thinking = "".join(_text(b.get("thinking")) for b in blocks if b.get("type") == "thinking")
    reasoning = thinking + _text(message.get("tool_plan"))
    calls = [tool_call_from_cohere(call) for call in _objects(message.get("tool_calls"))]
    citations = _objects(message.get("citations"))
    answer: _Object = {
        "role": "assistant",
        # OpenAI has null where there are only tool calls, and text everywhere else.
        "content": None if calls and not content else content,
        "refusal": None,
    }
    if reasoning:
        answer["reasoning_content"] = reasoning
    if calls:
        answer["tool_calls"] = calls
    if citations:
        answer["citations"] = citations
    return answer


def tool_call_from_cohere(call: Mapping[str, Any]) -> _Object:
    """One call."""
    function = call.get("function")
    function = function if isinstance(function, dict) else {}
    arguments = _text(function.get("arguments"))
    return tool_call(
        id_=_text(call.get("id")),
        name=_text(function.get("name")),
        arguments="{}" if arguments in NO_ARGUMENTS else arguments,
    )


def finish_reason_from_cohere(finish_reason: object) -> str:
    """OpenAI's word for why the answer ended; a reason that is new to us reads as `stop`."""
    return _FINISH_REASONS.get(finish_reason, "stop") if isinstance(finish_reason, str) else "stop"


def usage_from_cohere(usage: object) -> TokenUsage:
    """Read Cohere's usage: what is billed, and what was consumed where nothing is said of billing.

    Cohere puts its own instructions around every prompt: a question of 5 tokens is read as 500.
    `tokens` counts them, `billed_units` does not, and it is the latter that Cohere's invoice adds
    up. Usage here is what a call is charged by, so it is the billed units; then a caller pays, and
    a budget loses, what the organisation pays. `cached_tokens` are a part of `tokens`, mostly of
    those instructions, and Cohere gives no discount for them: they are told only beside `tokens`.

    Source:
        https://docs.cohere.com/docs/how-does-cohere-pricing-work (excerpts seen 2026-11-20)
    """
    given = usage if isinstance(usage, dict) else {}
    billed = _tokens(given.get("billed_units"))
    if billed.is_reported:
        return billed
    consumed = _tokens(given.get("tokens"))
    return TokenUsage(
        input_tokens=consumed.input_tokens,
        cached_input_tokens=_count(given.get("cached_tokens")),
        output_tokens=consumed.output_tokens,
    )


def _tokens(counted: object) -> TokenUsage:
    counts = counted if isinstance(counted, dict) else {}
    return TokenUsage(
        input_tokens=_count(counts.get("input_tokens")),
        output_tokens=_count(counts.get("output_tokens")),
    )


def _count(value: object) -> int | None:
    """A number of tokens; Cohere's schema has them as numbers with a fraction: `37.0`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return token_count(int(value)) if value == value // 1 else None


def _objects(values: object) -> list[_Object]:
    return [v for v in values if isinstance(v, dict)] if isinstance(values, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
