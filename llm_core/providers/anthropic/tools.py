"""OpenAI's tools and tool choice as Anthropic's.

| OpenAI `tool_choice` | Anthropic |
|---|---|
| absent, `auto` | `auto` |
| `none` | `none` |
| `required` | `any` |
| `{type: function}` | `tool` |
| `{type: allowed_tools}` | only those tools, with `auto` or `any` |

`parallel_tool_calls: false` becomes `disable_parallel_tool_use` on the choice.

Source:
    https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools (checked 2026-11-20)
    https://platform.claude.com/docs/en/agents-and-tools/tool-use/parallel-tool-use
    (checked 2026-11-20)
"""

from collections.abc import Container, Mapping, Sequence
from typing import Any

from llm_core.chat.request import ChatRequest
from llm_core.errors import MalformedRequest
from llm_core.providers.anthropic.messages import cache_control_from
from llm_core.providers.anthropic.models import Capabilities
from llm_core.providers.anthropic.refusals import unsupported
from llm_core.providers.anthropic.schema import to_claude_schema

_Object = dict[str, Any]


def tools_to_anthropic(
    request: ChatRequest,
    capabilities: Capabilities,
    called_tools: Sequence[str],
    dropped: list[str],
) -> _Object:
    """Give `tools` and `tool_choice`; empty when the request has neither.

    Args:
        request: Checked.
        capabilities: Of the routed model.
        called_tools: Named in the conversation. Anthropic refuses a conversation with calls when
            no tools are defined, OpenAI does not; so these are defined, and may not be called.
        dropped: Takes the names of what is left out.

    Raises:
        UnsupportedParameter: A kind of tool or choice that Anthropic or the model lacks.
        MalformedRequest: A choice that OpenAI would not take either.
    """
    asked = request.fields.get("tools") or []
    if not asked:
        if _mode(request.fields.get("tool_choice")) in ("required", "function", "allowed_tools"):
            raise MalformedRequest("'tool_choice' needs 'tools'.", param="tool_choice")
        if not called_tools:
            return {}
        empty: _Object = {"type": "object", "properties": {}}
        return {
            "tools": [{"name": name, "input_schema": empty} for name in called_tools],
            "tool_choice": {"type": "none"},
        }
    tools = [
        _tool(tool, f"tools[{index}]", capabilities, dropped) for index, tool in enumerate(asked)
    ]
    choice = _choice(request.fields.get("tool_choice"), tools)
    if choice["type"] in ("any", "tool") and not capabilities.takes_forced_tools:
        raise unsupported("tool_choice", "this model decides by itself whether to call a tool.")
    if request.fields.get("parallel_tool_calls") is False and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = True
    if choice == {"type": "auto"}:
        return {"tools": tools}
    return {"tools": tools, "tool_choice": choice}


def _tool(
    tool: Mapping[str, Any], where: str, capabilities: Capabilities, dropped: list[str]
) -> _Object:
    if tool["type"] != "function":
        raise unsupported(f"{where}.type", "only tools of the type 'function' can be offered.")
    function = tool["function"]
    schema = {"type": "object", "properties": {}, **(function.get("parameters") or {})}
    offered: _Object = {"name": function["name"]}
    if function.get("description"):
        offered["description"] = function["description"]
    if function.get("strict") and capabilities.takes_schemas:
        offered |= {"input_schema": to_claude_schema(schema), "strict": True}
    else:
        offered["input_schema"] = schema
        if function.get("strict"):
            dropped.append(f"{where}.function.strict")
    return {**offered, **cache_control_from(function, where), **cache_control_from(tool, where)}


def _choice(choice: str | Mapping[str, Any] | None, tools: list[_Object]) -> _Object:
    """The choice; `tools` is cut down when only some of them are allowed."""
    offered = {tool["name"] for tool in tools}
    match _mode(choice):
        case None | "auto":
            return {"type": "auto"}
        case "none":
            return {"type": "none"}
        case "required":
            return {"type": "any"}
        case "function":
            return {"type": "tool", "name": _named(choice, offered, "tool_choice.function.name")}
        case "allowed_tools" if isinstance(choice, Mapping):
            return _allowed(choice.get("allowed_tools"), tools, offered)
        case other:
            raise unsupported("tool_choice", f"there is no choice '{other}'.")


def _mode(choice: str | Mapping[str, Any] | None) -> object:
    return choice.get("type") if isinstance(choice, Mapping) else choice


def _allowed(allowed: object, tools: list[_Object], offered: Container[str]) -> _Object:
    where = "tool_choice.allowed_tools"
    if not isinstance(allowed, dict) or not isinstance(allowed.get("tools"), list):
        raise MalformedRequest(f"'{where}.tools' must be a list.", param=f"{where}.tools")
    names = {_named(tool, offered, f"{where}.tools") for tool in allowed["tools"]}
    tools[:] = [tool for tool in tools if tool["name"] in names]
    return {"type": "any" if allowed.get("mode") == "required" else "auto"}


def _named(choice: object, offered: Container[str], where: str) -> str:
    function = choice.get("function") if isinstance(choice, Mapping) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or name not in offered:
        raise MalformedRequest(f"'{where}' must name one of 'tools'.", param=where)
    return name
