"""Reads a checked Converse request: what is asked, and how long the prompt is."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from sandbox.answers import Question, Tool
from sandbox.anthropic.question import PromptSize
from sandbox.identifiers import digest
from sandbox.tokens import IMAGE_TOKENS, MESSAGE_TOKENS, REQUEST_TOKENS, count, count_json
from sandbox.wishes import Wishes

DEFAULT_MAX_TOKENS = 4096

_EFFORT_TOKENS = {"low": 16, "medium": 32, "high": 64, "xhigh": 128, "max": 256}
_BUDGET_SHARE = 32
"""Thinking by a budget uses a 32nd part of it: some, and never all of it."""


def question_from(payload: Mapping[str, Any], wishes: Wishes) -> Question:
    """Read what is asked."""
    last = payload["messages"][-1]
    results = tuple(
        _text(block["toolResult"]["content"]) for block in last["content"] if "toolResult" in block
    )
    users = [_text(one["content"]) for one in payload["messages"] if one["role"] == "user"]
    config = payload.get("toolConfig") or {}
    choice = config.get("toolChoice") or {"auto": {}}
    inference = payload.get("inferenceConfig") or {}
    return Question(
        digest=digest({**payload, "model": wishes.model}),
        last_user_text=next((text for text in reversed(users) if text), ""),
        is_user_turn=last["role"] == "user" and not results,
        tool_results=results,
        tools=_tools(config, choice),
        is_tool_forced="auto" not in choice,
        says_before_tools="auto" in choice,
        json_schema=_json_schema(payload),
        thinking_tokens=_thinking_tokens(payload.get("additionalModelRequestFields") or {}),
        stops=tuple(inference.get("stopSequences") or ()),
        max_tokens=inference.get("maxTokens") or DEFAULT_MAX_TOKENS,
        words=wishes.words,
    )


def prompt_size(payload: Mapping[str, Any]) -> PromptSize:
    """Count the prompt.

    Everything up to the last `cachePoint` is cached: up to the last but one it is read, as if an
    earlier turn had written it; from there to the last it is written. The real minimum lengths are
    not asked for.
    """
    total = REQUEST_TOKENS
    marks: list[int] = []
    for tokens in _sized(payload):
        if tokens is None:
            marks.append(total)
        else:
            total += tokens
    if not marks:
        return PromptSize(total, 0, 0, is_long_lived=False)
    read = marks[-2] if len(marks) > 1 else 0
    return PromptSize(total - marks[-1], read, marks[-1] - read, is_long_lived=False)


def _sized(payload: Mapping[str, Any]) -> Iterator[int | None]:
    """Tokens of every part in the order of the cache; `None` for a cache point."""
    for tool in (payload.get("toolConfig") or {}).get("tools") or ():
        yield None if "cachePoint" in tool else count_json(tool["toolSpec"])
    for block in payload.get("system") or ():
        yield None if "cachePoint" in block else count(block["text"])
    for message in payload["messages"]:
        yield MESSAGE_TOKENS
        for block in message["content"]:
            yield None if "cachePoint" in block else _block_tokens(block)


def _block_tokens(block: Mapping[str, Any]) -> int:
    match block:
        case {"text": str(text)}:
            return count(text)
        case {"toolUse": used}:
            return 1 + count_json(used["input"])
        case {"toolResult": result}:
            return count(_text(result["content"]))
        case {"reasoningContent": {"reasoningText": {"text": str(text)}}}:
            return count(text)
        case {"image": _} | {"document": _}:
            return IMAGE_TOKENS
        case _:
            return 0


def _text(blocks: Sequence[Mapping[str, Any]]) -> str:
    return " ".join(
        block["text"] if "text" in block else msgspec.json.encode(block["json"]).decode()
        for block in blocks
        if "text" in block or "json" in block
    )


def _tools(config: Mapping[str, Any], choice: Mapping[str, Any]) -> tuple[Tool, ...]:
    specs = [tool["toolSpec"] for tool in config.get("tools") or () if "toolSpec" in tool]
    tools = (Tool(spec["name"], spec["inputSchema"]["json"]) for spec in specs)
    return tuple(
        tool for tool in tools if "tool" not in choice or tool.name == choice["tool"]["name"]
    )


def _json_schema(payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
    wanted = (payload.get("outputConfig") or {}).get("textFormat")
    if not wanted:
        return None
    schema: dict[str, Any] = msgspec.json.decode(wanted["structure"]["jsonSchema"]["schema"])
    return schema


def _thinking_tokens(more: Mapping[str, Any]) -> int:
    match more:
        case {"thinking": {"type": "enabled", "budget_tokens": int(budget)}}:
            return budget // _BUDGET_SHARE
        case {"thinking": {"type": "adaptive"}}:
            effort = (more.get("output_config") or {}).get("effort") or "high"
            return _EFFORT_TOKENS.get(effort, _EFFORT_TOKENS["high"])
        case {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": str(effort)}}:
            return _EFFORT_TOKENS.get(effort, 0)
        case {"reasoning_effort": str(effort)}:
            return _EFFORT_TOKENS.get(effort, 0)
        case _:
            return 0
