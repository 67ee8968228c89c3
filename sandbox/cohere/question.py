"""Reads a checked Cohere request: what is asked, and how long the prompt is."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.answers import Question, Tool
from sandbox.identifiers import digest
from sandbox.tokens import IMAGE_TOKENS, MESSAGE_TOKENS, REQUEST_TOKENS, count, count_json
from sandbox.wishes import Wishes

PREAMBLE_TOKENS = 500
"""Cohere's own instructions around every prompt: read, cached, and not billed."""

_BUDGET_SHARE = 32
_LONGEST_THINKING = 64
_REASONS = ("command-a-reasoning", "command-a-plus")


@dataclass(frozen=True, slots=True)
class PromptSize:
    """Tokens of a prompt.

    Args:
        billed: The caller's own.
        read: With Cohere's instructions around them.
        cached: Part of `read`.
    """

    billed: int
    read: int
    cached: int


def question_from(payload: Mapping[str, Any], wishes: Wishes) -> Question:
    """Read what is asked."""
    messages = payload["messages"]
    last = messages[-1]
    users = [_text(one.get("content")) for one in messages if one["role"] == "user"]
    choice = payload.get("tool_choice")
    content = {key: value for key, value in payload.items() if key not in ("stream", "model")}
    tools = tuple(
        Tool(tool["function"]["name"], tool["function"]["parameters"])
        for tool in payload.get("tools") or ()
    )
    return Question(
        digest=digest({**content, "model": wishes.model}),
        last_user_text=users[-1] if users else "",
        is_user_turn=last["role"] == "user",
        tool_results=_trailing_results(messages),
        tools=() if choice == "NONE" else tools,
        is_tool_forced=choice == "REQUIRED",
        says_before_tools=True,
        json_schema=_json_schema(payload.get("response_format")),
        thinking_tokens=_thinking_tokens(payload.get("thinking"), wishes.model),
        stops=tuple(payload.get("stop_sequences") or ()),
        max_tokens=payload.get("max_tokens"),
        words=wishes.words,
    )


def prompt_size(payload: Mapping[str, Any]) -> PromptSize:
    """Count the prompt."""
    billed = REQUEST_TOKENS + sum(map(_message_tokens, payload["messages"]))
    billed += sum(count_json(tool) for tool in payload.get("tools") or ())
    billed += sum(count_json(document) for document in payload.get("documents") or ())
    if payload.get("response_format"):
        billed += count_json(payload["response_format"])
    return PromptSize(billed, billed + PREAMBLE_TOKENS, PREAMBLE_TOKENS)


def _message_tokens(message: Mapping[str, Any]) -> int:
    content = message.get("content")
    total = MESSAGE_TOKENS + count(_text(content)) + count(message.get("tool_plan") or "")
    for block in content if isinstance(content, list) else ():
        total += IMAGE_TOKENS if block["type"] == "image_url" else 0
    for call in message.get("tool_calls") or ():
        total += 1 + count(call["function"]["arguments"])
    return total


def _text(content: object) -> str:
    """The text of a content; a document's is its data."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else ""
    return " ".join(
        json.dumps(block["document"]["data"])
        if block["type"] == "document"
        else str(block.get("text") or "")
        for block in content
    ).strip()


def _trailing_results(messages: list[dict[str, Any]]) -> tuple[str, ...]:
    results: list[str] = []
    for message in reversed(messages):
        if message["role"] != "tool":
            break
        results.append(_text(message["content"]))
    return tuple(reversed(results))


def _json_schema(wanted: object) -> Mapping[str, Any] | None:
    match wanted:
        case {"type": "json_object", "json_schema": dict(schema)}:
            return dict(schema)
        case {"type": "json_object"}:
            return {}
        case _:
            return None


def _thinking_tokens(thinking: Mapping[str, Any] | None, model: str) -> int:
    asked = thinking or {}
    if not model.startswith(_REASONS) or asked.get("type") == "disabled":
        return 0
    budget = asked.get("token_budget")
    return max(1, min(budget // _BUDGET_SHARE, _LONGEST_THINKING)) if budget else _LONGEST_THINKING
