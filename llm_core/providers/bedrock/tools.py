"""OpenAI's tools and tool choice as Converse's `toolConfig`.

| OpenAI `tool_choice` | Converse `toolChoice` |
|---|---|
| absent, `auto` | left out, which is `auto` |
| `required` | `any` |
| `{type: function}` | `tool` |
| `{type: allowed_tools}` | only those tools, with `auto` or `any` |
| `none` | no tools |

Converse has no `none`, and it refuses a conversation in which tools were called unless tools are
defined. Where both meet, one tool is defined that does nothing and says so; the caller's own, which
must not be called, are not there to be called.

Converse cannot be told to make one call at a time: `parallel_tool_calls: false` is left out.

Source:
    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolConfiguration.html
    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolChoice.html
    https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html
    Shape from the SDK's types (botocore 1.44.5); the pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Mapping, Set
from typing import Any

from llm_core.chat.request import ChatRequest
from llm_core.errors import MalformedRequest
from llm_core.providers.anthropic.schema import to_claude_schema
from llm_core.providers.bedrock.messages import cache_point_from
from llm_core.providers.bedrock.models import Traits
from llm_core.providers.bedrock.refusals import unsupported

_Object = dict[str, Any]

_NO_TOOL: _Object = {
    "toolSpec": {
        "name": "no_tool_is_available",
        "description": "Does nothing. No tool can be called any more: answer in text.",
        "inputSchema": {"json": {"type": "object", "properties": {}}},
    }
}


def tools_to_bedrock(
    request: ChatRequest, traits: Traits, dropped: list[str], *, has_tool_blocks: bool
) -> _Object:
    """Give `toolConfig`; empty when the request has no tools and never had.

    Args:
        request: Checked.
        traits: Of the routed model.
        dropped: Takes the names of what is left out.
        has_tool_blocks: Whether the conversation holds calls or results.

    Raises:
        UnsupportedParameter: A kind of tool or choice that Bedrock or the model lacks.
        MalformedRequest: A choice that OpenAI would not take either.
    """
    asked = request.fields.get("tools") or []
    choice = request.fields.get("tool_choice")
    if not asked and _mode(choice) in ("required", "function", "allowed_tools"):
        raise MalformedRequest("'tool_choice' needs 'tools'.", param="tool_choice")
    if not asked or choice == "none":
        return {"toolConfig": {"tools": [_NO_TOOL]}} if has_tool_blocks else {}
    specs = [_spec(tool, f"tools[{index}]", traits, dropped) for index, tool in enumerate(asked)]
    chosen, names = _choice(choice, {spec["name"] for spec in specs})
    if chosen and traits.claude is not None and not traits.claude.takes_forced_tools:
        raise unsupported("tool_choice", "this model decides by itself whether to call a tool.")
    if request.fields.get("parallel_tool_calls") is False:
        dropped.append("parallel_tool_calls")
    tools: list[_Object] = []
    for index, (tool, spec) in enumerate(zip(asked, specs, strict=True)):
        if spec["name"] in names:
            tools += [{"toolSpec": spec}, *_cache_point(tool, f"tools[{index}]", traits, dropped)]
    config: _Object = {"tools": tools}
    if chosen:
        config["toolChoice"] = chosen
    return {"toolConfig": config}


def _spec(tool: Mapping[str, Any], where: str, traits: Traits, dropped: list[str]) -> _Object:
    if tool["type"] != "function":
        raise unsupported(f"{where}.type", "only tools of the type 'function' can be offered.")
    function = tool["function"]
    schema = {"type": "object", "properties": {}, **(function.get("parameters") or {})}
    spec: _Object = {"name": function["name"]}
    if function.get("description"):
        spec["description"] = function["description"]
    if function.get("strict") and traits.takes_schemas:
        return {**spec, "inputSchema": {"json": to_claude_schema(schema)}, "strict": True}
    if function.get("strict"):
        dropped.append(f"{where}.function.strict")
    return {**spec, "inputSchema": {"json": schema}}


def _cache_point(
    tool: Mapping[str, Any], where: str, traits: Traits, dropped: list[str]
) -> list[_Object]:
    points = cache_point_from(tool["function"], where) or cache_point_from(tool, where)
    if points and not traits.takes_cached_tools:
        dropped.append(f"{where}.cache_control")
        return []
    return points


def _choice(choice: str | Mapping[str, Any] | None, names: Set[str]) -> tuple[_Object, Set[str]]:
    """`toolChoice`, empty for `auto`, and the names of the tools that are offered."""
    match _mode(choice):
        case None | "auto":
            return {}, names
        case "required":
            return {"any": {}}, names
        case "function":
            name = _named(choice, names, "tool_choice.function.name")
            return {"tool": {"name": name}}, names
        case "allowed_tools" if isinstance(choice, Mapping):
            return _allowed(choice.get("allowed_tools"), names)
        case other:
            raise unsupported("tool_choice", f"there is no choice '{other}'.")


def _mode(choice: str | Mapping[str, Any] | None) -> object:
    return choice.get("type") if isinstance(choice, Mapping) else choice


def _allowed(allowed: object, names: Set[str]) -> tuple[_Object, Set[str]]:
    where = "tool_choice.allowed_tools"
    if (
        not isinstance(allowed, dict)
        or not isinstance(allowed.get("tools"), list)
        or not allowed["tools"]
    ):
        raise MalformedRequest(f"'{where}.tools' must be a list.", param=f"{where}.tools")
    kept = {_named(tool, names, f"{where}.tools") for tool in allowed["tools"]}
    return ({"any": {}} if allowed.get("mode") == "required" else {}), kept


def _named(choice: object, names: Set[str], where: str) -> str:
    function = choice.get("function") if isinstance(choice, Mapping) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or name not in names:
        raise MalformedRequest(f"'{where}' must name one of 'tools'.", param=where)
    return name
