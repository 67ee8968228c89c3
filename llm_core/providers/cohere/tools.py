"""OpenAI's tools and tool choice as Cohere's; the table stands in `request`.

Source:
    https://docs.cohere.com/docs/tool-use-overview
    https://docs.cohere.com/docs/tool-use-usage-patterns
    Shape from the SDK's types (cohere 7.3.1); the pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Container, Mapping, Sequence
from typing import Any

from llm_core.chat.request import ChatRequest
from llm_core.errors import MalformedRequest
from llm_core.providers.cohere.refusals import unsupported

_Object = dict[str, Any]


def tools_to_cohere(request: ChatRequest, dropped: list[str]) -> _Object:
    """Give `tools`, `tool_choice` and `strict_tools`; empty when no tools are offered.

    Args:
        request: Checked.
        dropped: Takes the names of what is left out.

    Raises:
        UnsupportedParameter: A kind of tool or choice that Cohere lacks.
        MalformedRequest: A choice that OpenAI would not take either.
    """
    asked = request.fields.get("tools") or []
    choice = request.fields.get("tool_choice")
    if not asked:
        if choice is not None and choice not in ("auto", "none"):
            raise MalformedRequest("'tool_choice' needs 'tools'.", param="tool_choice")
        return {}
    if request.fields.get("parallel_tool_calls") is False and choice != "none":
        raise unsupported("parallel_tool_calls", "it may call several tools at once.")
    tools = [_tool(tool, f"tools[{index}]") for index, tool in enumerate(asked)]
    mode = _choice(choice, tools)
    body: _Object = {"tools": tools}
    if mode is not None:
        body["tool_choice"] = mode
    return body | _strictness(asked, dropped)


def _tool(tool: Mapping[str, Any], where: str) -> _Object:
    if tool["type"] != "function":
        raise unsupported(f"{where}.type", "only tools of the type 'function' can be offered.")
    function = tool["function"]
    offered: _Object = {"name": function["name"]}
    if function.get("description"):
        offered["description"] = function["description"]
    offered["parameters"] = function.get("parameters") or {"type": "object", "properties": {}}
    return {"type": "function", "function": offered}


def _strictness(asked: Sequence[Mapping[str, Any]], dropped: list[str]) -> _Object:
    """Cohere is strict about all tools or about none."""
    strict = [index for index, tool in enumerate(asked) if tool["function"].get("strict")]
    if strict and len(strict) == len(asked):
        return {"strict_tools": True}
    dropped += [f"tools[{index}].function.strict" for index in strict]
    return {}


def _choice(choice: str | Mapping[str, Any] | None, tools: list[_Object]) -> str | None:
    """The choice; `tools` is cut down when only some of them are allowed."""
    offered = {tool["function"]["name"] for tool in tools}
    match choice:
        case None | "auto":
            return None
        case "none":
            return "NONE"
        case "required":
            return "REQUIRED"
        case {"type": "function"}:
            _keep(tools, {_named(choice, offered, "tool_choice.function.name")})
            return "REQUIRED"
        case {"type": "allowed_tools", "allowed_tools": {"tools": list(allowed), **rest}}:
            where = "tool_choice.allowed_tools.tools"
            _keep(tools, {_named(tool, offered, where) for tool in allowed})
            return "REQUIRED" if rest.get("mode") == "required" else None
        case _:
            raise unsupported("tool_choice", "there is no such choice.")


def _keep(tools: list[_Object], names: set[str]) -> None:
    tools[:] = [tool for tool in tools if tool["function"]["name"] in names]


def _named(choice: object, offered: Container[str], where: str) -> str:
    function = choice.get("function") if isinstance(choice, Mapping) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or name not in offered:
        raise MalformedRequest(f"'{where}' must name one of 'tools'.", param=where)
    return name
