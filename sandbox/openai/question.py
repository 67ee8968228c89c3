"""Reads a checked OpenAI request: what is asked, and how long the prompt is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.answers import Question, Tool
from sandbox.identifiers import digest
from sandbox.tokens import IMAGE_TOKENS, MESSAGE_TOKENS, REQUEST_TOKENS, count, count_json
from sandbox.wishes import Wishes

_TRANSPORT = frozenset({"stream", "stream_options", "model"})
_EFFORT_TOKENS = {"minimal": 8, "low": 16, "medium": 32, "high": 64, "xhigh": 128, "max": 256}
_LEAST_CACHED = 1024
_CACHED_STEP = 128


@dataclass(frozen=True, slots=True)
class PromptSize:
    """Tokens of a prompt; `cached` is part of `total`."""

    total: int
    cached: int


def question_from(payload: Mapping[str, Any], wishes: Wishes) -> Question:
    """Read what is asked."""
    messages = payload["messages"]
    last = messages[-1]
    forced, tools = _tools(payload)
    users = [message for message in messages if message["role"] == "user"]
    content = {key: value for key, value in payload.items() if key not in _TRANSPORT}
    return Question(
        digest=digest({**content, "model": wishes.model}),
        last_user_text=_text(users[-1]) if users else "",
        is_user_turn=last["role"] == "user",
        tool_results=_trailing_results(messages),
        tools=tools,
        is_tool_forced=forced,
        is_parallel_allowed=payload.get("parallel_tool_calls") is not False,
        json_schema=_json_schema(payload.get("response_format")),
        thinking_tokens=_EFFORT_TOKENS.get(payload.get("reasoning_effort") or "none", 0),
        stops=_stops(payload.get("stop")),
        max_tokens=payload.get("max_completion_tokens") or payload.get("max_tokens"),
        words=wishes.words,
    )


def prompt_size(payload: Mapping[str, Any]) -> PromptSize:
    """Count the prompt.

    From 1,024 tokens on, the largest multiple of 128 counts as cached, as if the same prompt had
    been sent a moment before.

    Source:
        https://platform.openai.com/docs/guides/prompt-caching (checked 2026-11-20)
    """
    total = REQUEST_TOKENS + sum(_message_tokens(message) for message in payload["messages"])
    total += sum(count_json(tool) for tool in payload.get("tools") or ())
    if payload.get("response_format"):
        total += count_json(payload["response_format"])
    cached = total // _CACHED_STEP * _CACHED_STEP if total >= _LEAST_CACHED else 0
    return PromptSize(total, cached)


def _message_tokens(message: Mapping[str, Any]) -> int:
    total = MESSAGE_TOKENS + count(_text(message)) + IMAGE_TOKENS * _images(message)
    for call in message.get("tool_calls") or ():
        total += 1 + count(str(call.get("function", {}).get("arguments", "")))
    return total


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return " ".join(str(part["text"]) for part in content if part.get("type") == "text")


def _images(message: Mapping[str, Any]) -> int:
    content = message.get("content")
    if not isinstance(content, list):
        return 0
    return sum(part.get("type") == "image_url" for part in content)


def _trailing_results(messages: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    results: list[str] = []
    for message in reversed(messages):
        if message["role"] != "tool":
            break
        results.append(_text(message))
    return tuple(reversed(results))


def _tools(payload: Mapping[str, Any]) -> tuple[bool, tuple[Tool, ...]]:
    tools = tuple(
        Tool(tool["function"]["name"], tool["function"].get("parameters") or {"type": "object"})
        for tool in payload.get("tools") or ()
    )
    match payload.get("tool_choice"):
        case "none":
            return False, ()
        case "required":
            return True, tools
        case {"type": "function", "function": {"name": name}}:
            return True, tuple(tool for tool in tools if tool.name == name)
        case _:
            return False, tools


def _json_schema(wanted: object) -> Mapping[str, Any] | None:
    match wanted:
        case {"type": "json_schema", "json_schema": {"schema": schema}}:
            return dict(schema)
        case {"type": "json_schema" | "json_object"}:
            return {}
        case _:
            return None


def _stops(given: str | list[str] | None) -> tuple[str, ...]:
    if given is None:
        return ()
    return (given,) if isinstance(given, str) else tuple(given)
