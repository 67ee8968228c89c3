"""Reads a checked Anthropic request: what is asked, and how long the prompt is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.answers import Question, Tool
from sandbox.identifiers import digest
from sandbox.tokens import IMAGE_TOKENS, MESSAGE_TOKENS, REQUEST_TOKENS, count, count_json
from sandbox.wishes import Wishes

_ADAPTIVE_TOKENS = {"low": 16, "medium": 32, "high": 64, "xhigh": 128, "max": 256}
_BUDGET_SHARE = 32
"""Manual thinking uses a 32nd part of its budget: some, and never all of it."""


@dataclass(frozen=True, slots=True)
class PromptSize:
    """Tokens of a prompt; Anthropic's parts exclude each other.

    Args:
        plain: Neither read from the cache nor written to it.
        read: Read from the cache.
        written: Written to the cache.
        is_long_lived: Whether what is written lives an hour rather than five minutes.
    """

    plain: int
    read: int
    written: int
    is_long_lived: bool


def question_from(payload: Mapping[str, Any], wishes: Wishes) -> Question:
    """Read what is asked."""
    last = payload["messages"][-1]
    results = tuple(
        _text(block.get("content") or "")
        for block in _blocks(last["content"])
        if block["type"] == "tool_result"
    )
    users = [_text(one["content"]) for one in payload["messages"] if one["role"] == "user"]
    choice = payload.get("tool_choice") or {"type": "auto"}
    content = {key: value for key, value in payload.items() if key not in ("stream", "model")}
    return Question(
        digest=digest({**content, "model": wishes.model}),
        last_user_text=next((text for text in reversed(users) if text), ""),
        is_user_turn=last["role"] == "user" and not results,
        tool_results=results,
        tools=_tools(payload, choice),
        is_tool_forced=choice["type"] in ("any", "tool"),
        is_parallel_allowed=not choice.get("disable_parallel_tool_use", False),
        says_before_tools=choice["type"] == "auto",
        json_schema=_json_schema(payload),
        thinking_tokens=_thinking_tokens(payload),
        stops=tuple(payload.get("stop_sequences") or ()),
        max_tokens=payload["max_tokens"],
        words=wishes.words,
    )


def prompt_size(payload: Mapping[str, Any]) -> PromptSize:
    """Count the prompt.

    Everything up to the last `cache_control` is cached: up to the last but one it is read, as if
    an earlier turn had written it; from there to the last it is written. So a single mark always
    writes, and two or more read and write. The real minimum lengths are not asked for.

    Source:
        https://platform.claude.com/docs/en/build-with-claude/prompt-caching (checked 2026-11-20)
    """
    total = REQUEST_TOKENS
    marks: list[tuple[int, Any]] = []
    for tokens, mark in _sized(payload):
        total += tokens
        if mark:
            marks.append((total, mark))
    if payload.get("cache_control"):
        marks.append((total, payload["cache_control"]))
    if not marks:
        return PromptSize(total, 0, 0, is_long_lived=False)
    read = marks[-2][0] if len(marks) > 1 else 0
    end, mark = marks[-1]
    return PromptSize(total - end, read, end - read, is_long_lived=mark.get("ttl") == "1h")


def _sized(payload: Mapping[str, Any]) -> Iterator[tuple[int, Any]]:
    """Every part of the prompt in the order of the cache: its tokens and its mark."""
    for tool in payload.get("tools") or ():
        plain = {key: value for key, value in tool.items() if key != "cache_control"}
        yield count_json(plain), tool.get("cache_control")
    for block in _blocks(payload.get("system") or []):
        yield count(block["text"]), block.get("cache_control")
    for message in payload["messages"]:
        yield MESSAGE_TOKENS, None
        for block in _blocks(message["content"]):
            yield _block_tokens(block), block.get("cache_control")


def _block_tokens(block: Mapping[str, Any]) -> int:
    match block["type"]:
        case "text":
            return count(block["text"])
        case "tool_use":
            return 1 + count_json(block["input"])
        case "tool_result":
            return count(_text(block.get("content") or ""))
        case "thinking":
            return count(block["thinking"])
        case "image" | "document":
            return IMAGE_TOKENS
        case _:
            return 0


def _blocks(content: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def _text(content: str | list[dict[str, Any]]) -> str:
    return " ".join(block["text"] for block in _blocks(content) if block["type"] == "text")


def _tools(payload: Mapping[str, Any], choice: Mapping[str, Any]) -> tuple[Tool, ...]:
    if choice["type"] == "none":
        return ()
    tools = (Tool(tool["name"], tool["input_schema"]) for tool in payload.get("tools") or ())
    return tuple(tool for tool in tools if choice["type"] != "tool" or tool.name == choice["name"])


def _json_schema(payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
    wanted = (payload.get("output_config") or {}).get("format") or payload.get("output_format")
    return dict(wanted["schema"]) if wanted else None


def _thinking_tokens(payload: Mapping[str, Any]) -> int:
    match payload.get("thinking"):
        case {"type": "enabled", "budget_tokens": int(budget)}:
            return budget // _BUDGET_SHARE
        case {"type": "adaptive"}:
            effort = (payload.get("output_config") or {}).get("effort") or "high"
            return _ADAPTIVE_TOKENS.get(effort, _ADAPTIVE_TOKENS["high"])
        case _:
            return 0
