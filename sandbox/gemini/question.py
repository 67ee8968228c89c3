"""Reads a checked Gemini request: what is asked, and how long the prompt is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from sandbox.answers import Question, Tool
from sandbox.gemini.traits import thinks
from sandbox.identifiers import digest
from sandbox.tokens import IMAGE_TOKENS, MESSAGE_TOKENS, REQUEST_TOKENS, count, count_json
from sandbox.wishes import Wishes

_LEVEL_TOKENS = {"minimal": 8, "low": 16, "medium": 32, "high": 64}
_BUDGET_SHARE = 32
"""Thinking uses a 32nd part of its budget: some, and never all of it."""
_LEAST_CACHED = 1024
_CACHED_STEP = 128


@dataclass(frozen=True, slots=True)
class PromptSize:
    """Tokens of a prompt; `cached` and `images` are part of `total`."""

    total: int
    cached: int
    images: int


def question_from(payload: Mapping[str, Any], wishes: Wishes) -> Question:
    """Read what is asked.

    Args:
        payload: As `canonical` gives it.
        wishes: What the sandbox itself is asked for.
    """
    contents = payload["contents"]
    config = payload.get("generationConfig") or {}
    last = contents[-1]
    results = tuple(
        _result(part["functionResponse"]["response"])
        for part in last["parts"]
        if "functionResponse" in part
    )
    said = [_text(one["parts"]) for one in contents if one.get("role", "user") == "user"]
    calling = (payload.get("toolConfig") or {}).get("functionCallingConfig") or {}
    return Question(
        digest=digest({**payload, "model": wishes.model}),
        last_user_text=next((text for text in reversed(said) if text), ""),
        is_user_turn=last.get("role", "user") == "user" and not results,
        tool_results=results,
        tools=_tools(payload, calling),
        is_tool_forced=calling.get("mode") == "ANY",
        json_schema=_json_schema(config),
        thinking_tokens=_thinking_tokens(config.get("thinkingConfig") or {}, wishes.model),
        stops=tuple(config.get("stopSequences") or ()),
        max_tokens=config.get("maxOutputTokens"),
        words=wishes.words,
    )


def prompt_size(payload: Mapping[str, Any]) -> PromptSize:
    """Count the prompt; from 1,024 tokens on, the largest multiple of 128 counts as cached.

    Source:
        https://ai.google.dev/gemini-api/docs/caching#implicit-caching (checked 2026-11-20)
    """
    contents = [*payload["contents"], payload.get("systemInstruction") or {"parts": []}]
    parts = [part for content in contents for part in content["parts"]]
    images = IMAGE_TOKENS * sum("inlineData" in part or "fileData" in part for part in parts)
    total = REQUEST_TOKENS + MESSAGE_TOKENS * len(payload["contents"]) + images
    total += sum(_part_tokens(part) for part in parts)
    total += sum(count_json(tool) for tool in payload.get("tools") or ())
    cached = total // _CACHED_STEP * _CACHED_STEP if total >= _LEAST_CACHED else 0
    return PromptSize(total, cached, images)


def _part_tokens(part: Mapping[str, Any]) -> int:
    if "functionCall" in part:
        return 1 + count_json(part["functionCall"].get("args") or {})
    if "functionResponse" in part:
        return count_json(part["functionResponse"]["response"])
    return count(str(part.get("text", "")))


def _result(response: Mapping[str, Any]) -> str:
    """A result's text; `output` alone is Google's name for the whole of it."""
    output = response.get("output")
    if isinstance(output, str) and len(response) == 1:
        return output
    return msgspec.json.encode(response).decode()


def _text(parts: Sequence[Mapping[str, Any]]) -> str:
    return " ".join(_texts(parts))


def _texts(parts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from (part["text"] for part in parts if part.get("text"))


def _tools(payload: Mapping[str, Any], calling: Mapping[str, Any]) -> tuple[Tool, ...]:
    if calling.get("mode") == "NONE":
        return ()
    allowed = calling.get("allowedFunctionNames")
    return tuple(
        Tool(function["name"], _parameters(function))
        for tool in payload.get("tools") or ()
        for function in tool.get("functionDeclarations") or ()
        if not allowed or function["name"] in allowed
    )


def _parameters(function: Mapping[str, Any]) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = function.get("parametersJsonSchema") or _lowered(
        function.get("parameters") or {"type": "object"}
    )
    return schema


def _lowered(schema: Any) -> Any:  # noqa: ANN401 - any JSON
    """OpenAPI's subset as JSON Schema: its types are written in capitals, or not."""
    if isinstance(schema, list):
        return [_lowered(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: value.lower() if name == "type" and isinstance(value, str) else _lowered(value)
        for name, value in schema.items()
    }


def _json_schema(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if config.get("responseMimeType") != "application/json":
        return None
    schema: Mapping[str, Any] = config.get("responseJsonSchema") or _lowered(
        config.get("responseSchema") or {}
    )
    return schema


def _thinking_tokens(config: Mapping[str, Any], model: str) -> int:
    level, budget = config.get("thinkingLevel"), config.get("thinkingBudget")
    if level is not None:
        return _LEVEL_TOKENS.get(str(level).lower(), 0)
    if budget is not None:
        return max(int(budget), 0) // _BUDGET_SHARE
    return _LEVEL_TOKENS["minimal"] if thinks(model) else 0
