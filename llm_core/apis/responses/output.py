"""The `response` object: its envelope, its items, its usage.

Source:
    https://platform.openai.com/docs/api-reference/responses/object (checked 2026-11-20)
"""

from collections.abc import Iterator, Mapping
from typing import Any

from llm_core.chat.response import token_count
from llm_core.digest import sha256_hex
from llm_core.tokens.usage import TokenUsage

_Object = dict[str, Any]
_ID_DIGITS = 48
_ECHOED: Mapping[str, Any] = {
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
    "service_tier": "default",
    "store": False,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}


def echo_of(fields: Mapping[str, Any]) -> _Object:
    """What a response repeats of its request; the API's default where the request says nothing.

    `temperature` and `top_p` stay null then: every model has a default of its own.
    """
    echo = {
        name: default if fields.get(name) is None else fields[name]
        for name, default in _ECHOED.items()
    }
    echo["truncation"] = "disabled"
    echo["service_tier"] = "default"
    echo["text"] = {**_ECHOED["text"], **echo["text"]}
    if echo["text"]["format"] is None:
        echo["text"]["format"] = {"type": "text"}
    return echo


def response_id(completion_id: str) -> str:
    """The id of the response that a chat completion becomes; the same for the same completion."""
    return "resp_" + sha256_hex(completion_id.encode("utf-8", "surrogatepass"))[:_ID_DIGITS]


def item_id(prefix: str, response: str, output_index: int) -> str:
    """The id of an item; the same for the same place in the same response."""
    seed = f"{response}/{output_index}".encode("utf-8", "surrogatepass")
    return f"{prefix}_{sha256_hex(seed)[:_ID_DIGITS]}"


def begun(echo: Mapping[str, Any], *, id_: str, created_at: int, model: str) -> _Object:
    """A response of which nothing has come yet."""
    return {
        "id": id_,
        "object": "response",
        "created_at": created_at,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": model,
        "output": [],
        "usage": None,
        **echo,
    }


def outcome(finish_reason: str | None) -> _Object:
    """`status` and `incomplete_details`, from a chat completion's finish reason."""
    reasons = {"length": "max_output_tokens", "content_filter": "content_filter"}
    reason = reasons.get(str(finish_reason))
    if reason is None:
        return {"status": "completed", "incomplete_details": None}
    return {"status": "incomplete", "incomplete_details": {"reason": reason}}


def finish_reason(response: Mapping[str, Any]) -> str:
    """A chat completion's finish reason, from what a response says of its end."""
    details = response.get("incomplete_details") or {}
    match details.get("reason"):
        case None:
            calls = ("function_call", "custom_tool_call")
            is_calling = any(item.get("type") in calls for item in _items(response))
            return "tool_calls" if is_calling else "stop"
        case "content_filter":
            return "content_filter"
        case _:
            return "length"


def usage_of_chat(usage: Mapping[str, Any]) -> _Object:
    """A response's usage, from a chat completion's; all its numbers must be there."""
    prompt = _mapping(usage.get("prompt_tokens_details"))
    completed = _mapping(usage.get("completion_tokens_details"))
    asked = token_count(usage.get("prompt_tokens")) or 0
    said = token_count(usage.get("completion_tokens")) or 0
    return {
        "input_tokens": asked,
        "input_tokens_details": {
            "cached_tokens": token_count(prompt.get("cached_tokens")) or 0,
            "cache_write_tokens": token_count(prompt.get("cache_write_tokens")) or 0,
        },
        "output_tokens": said,
        "output_tokens_details": {
            "reasoning_tokens": token_count(completed.get("reasoning_tokens")) or 0
        },
        "total_tokens": asked + said,
    }


def usage_from_response(usage: object) -> TokenUsage:
    """Read a response's usage; what is missing, null or no token count stays `None`."""
    given = _mapping(usage)
    asked = _mapping(given.get("input_tokens_details"))
    said = _mapping(given.get("output_tokens_details"))
    return TokenUsage(
        input_tokens=token_count(given.get("input_tokens")),
        cached_input_tokens=token_count(asked.get("cached_tokens")),
        cache_write_tokens=token_count(asked.get("cache_write_tokens")),
        output_tokens=token_count(given.get("output_tokens")),
        reasoning_tokens=token_count(said.get("reasoning_tokens")),
    )


def texts_of_response(response: Mapping[str, Any]) -> list[str]:
    """Every word of a response: text, refusals, thoughts, calls."""
    return [text for item in _items(response) for text in texts_of_item(item)]


def texts_of_item(item: Mapping[str, Any]) -> Iterator[str]:
    """Every word of an item; total, because a provider may send anything."""
    for name in ("name", "arguments", "input"):
        if isinstance(item.get(name), str) and item[name]:
            yield item[name]
    for name in ("summary", "content"):
        parts = item.get(name)
        for part in parts if isinstance(parts, list) else ():
            said = _mapping(part)
            text = said.get("text") or said.get("refusal")
            if isinstance(text, str) and text:
                yield text


def _items(response: Mapping[str, Any]) -> list[_Object]:
    output = response.get("output")
    return [i for i in output if isinstance(i, dict)] if isinstance(output, list) else []


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
