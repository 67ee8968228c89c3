"""Reads a checked request to the Responses API: what is asked, and how long the prompt is."""

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.answers import Question, Tool
from sandbox.identifiers import digest
from sandbox.openai.question import PromptSize
from sandbox.tokens import IMAGE_TOKENS, MESSAGE_TOKENS, REQUEST_TOKENS, count, count_json
from sandbox.wishes import Wishes

_TRANSPORT = frozenset({"stream", "stream_options", "model"})
_EFFORT_TOKENS = {"minimal": 8, "low": 16, "medium": 32, "high": 64, "xhigh": 128, "max": 256}
_RESULTS = ("function_call_output", "custom_tool_call_output")


def question_from(payload: Mapping[str, Any], wishes: Wishes) -> Question:
    """Read what is asked."""
    items = _items(payload)
    users = [item for item in items if item.get("role") == "user"]
    forced, tools = _tools(payload)
    content = {key: value for key, value in payload.items() if key not in _TRANSPORT}
    effort = (payload.get("reasoning") or {}).get("effort")
    return Question(
        digest=digest({**content, "model": wishes.model}),
        last_user_text=_text(users[-1].get("content")) if users else "",
        is_user_turn=items[-1].get("role") == "user",
        tool_results=_trailing_results(items),
        tools=tools,
        is_tool_forced=forced,
        is_parallel_allowed=payload.get("parallel_tool_calls") is not False,
        json_schema=_json_schema((payload.get("text") or {}).get("format")),
        thinking_tokens=_EFFORT_TOKENS.get(effort or "none", 0),
        max_tokens=payload.get("max_output_tokens"),
        words=wishes.words,
    )


def prompt_size(payload: Mapping[str, Any]) -> PromptSize:
    """Count the prompt; nothing of it is cached."""
    total = REQUEST_TOKENS + count(payload.get("instructions") or "")
    total += sum(_item_tokens(item) for item in _items(payload))
    total += sum(count_json(tool) for tool in payload.get("tools") or ())
    if payload.get("text"):
        total += count_json(payload["text"])
    return PromptSize(total, 0)


def _items(payload: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    given = payload["input"]
    return [{"role": "user", "content": given}] if isinstance(given, str) else given


def _item_tokens(item: Mapping[str, Any]) -> int:
    total = MESSAGE_TOKENS + count(_text(item.get("content")) + " " + _text(item.get("output")))
    content = item.get("content")
    if isinstance(content, list):
        total += IMAGE_TOKENS * sum(part.get("type") == "input_image" for part in content)
    return total + count(str(item.get("arguments") or item.get("input") or ""))


def _text(content: object) -> str:
    if isinstance(content, list):
        return " ".join(str(part["text"]) for part in content if "text" in part)
    return content if isinstance(content, str) else ""


def _trailing_results(items: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    results: list[str] = []
    for item in reversed(items):
        if item.get("type") not in _RESULTS:
            break
        results.append(_text(item["output"]))
    return tuple(reversed(results))


def _tools(payload: Mapping[str, Any]) -> tuple[bool, tuple[Tool, ...]]:
    tools = tuple(
        Tool(tool["name"], tool.get("parameters") or {"type": "object"})
        for tool in payload.get("tools") or ()
        if tool["type"] == "function"
    )
    match payload.get("tool_choice"):
        case "none":
            return False, ()
        case "required":
            return True, tools
        case {"type": "function", "name": name}:
            return True, tuple(tool for tool in tools if tool.name == name)
        case _:
            return False, tools


def _json_schema(wanted: object) -> Mapping[str, Any] | None:
    match wanted:
        case {"type": "json_schema", "schema": schema}:
            return dict(schema)
        case {"type": "json_object"}:
            return {}
        case _:
            return None
