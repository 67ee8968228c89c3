"""Anthropic's tools and tool choice as OpenAI's.

Source:
    https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools (checked 2026-11-20)
    https://platform.claude.com/docs/en/agents-and-tools/tool-use/parallel-tool-use
    (checked 2026-11-20)
"""

from collections.abc import Mapping
from typing import Any

from llm_core.apis.messages.checks import (
    a_bool,
    a_list,
    a_name,
    a_string,
    an_object,
    not_offered,
    one_of,
    required,
)
from llm_core.errors import MalformedRequest
from llm_core.providers.anthropic.messages import cache_control_from

_Object = dict[str, Any]

_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
# Members of a tool that Anthropic takes and OpenAI lacks; they are part of the prompt.
_ANTHROPICS = ("input_examples", "eager_input_streaming")


def tools_of(fields: Mapping[str, Any]) -> _Object:
    """Give `tools`; empty without any.

    Raises:
        MalformedRequest: Something in it is no tool.
        UnsupportedParameter: A tool that Anthropic runs or defines.
    """
    if fields.get("tools") is None:
        return {}
    listed = a_list(fields["tools"], "tools")
    tools = [
        _tool(an_object(tool, f"tools[{index}]"), f"tools[{index}]")
        for index, tool in enumerate(listed)
    ]
    return {"tools": tools} if tools else {}


def choice_of(fields: Mapping[str, Any]) -> _Object:
    """Give `tool_choice` and `parallel_tool_calls`; empty where they are as by default.

    Raises:
        MalformedRequest: The choice is none, or names no tool that is offered.
    """
    if fields.get("tool_choice") is None:
        return {}
    choice = an_object(fields["tool_choice"], "tool_choice")
    kind = one_of(choice.get("type"), (*_CHOICES, "tool"), "tool_choice.type")
    if not fields.get("tools"):
        raise MalformedRequest("'tool_choice' needs 'tools'.", param="tool_choice")
    asked: _Object = {"tool_choice": _CHOICES.get(kind)}
    if kind == "tool":
        name = a_name(required(choice, "name", "tool_choice.name"), "tool_choice.name")
        if name not in {tool["name"] for tool in fields["tools"]}:
            raise MalformedRequest(
                "'tool_choice.name' must name one of 'tools'.", param="tool_choice.name"
            )
        asked["tool_choice"] = {"type": "function", "function": {"name": name}}
    alone = choice.get("disable_parallel_tool_use")
    if alone is not None and a_bool(alone, "tool_choice.disable_parallel_tool_use"):
        asked["parallel_tool_calls"] = False
    return asked


def _tool(tool: _Object, where: str) -> _Object:
    if tool.get("type") not in (None, "custom"):
        raise not_offered(f"{where}.type", "only tools of the type 'custom' can be offered.")
    if tool.get("defer_loading"):
        raise not_offered(f"{where}.defer_loading", "tools cannot be searched for.")
    if tool.get("allowed_callers") not in (None, [], ["direct"]):
        raise not_offered(f"{where}.allowed_callers", "code execution is not offered.")
    schema = an_object(
        required(tool, "input_schema", f"{where}.input_schema"), f"{where}.input_schema"
    )
    function: _Object = {
        "name": a_name(required(tool, "name", f"{where}.name"), f"{where}.name"),
        "parameters": schema,
    }
    if tool.get("description") is not None:
        function["description"] = a_string(tool["description"], f"{where}.description")
    if tool.get("strict") is not None and a_bool(tool["strict"], f"{where}.strict"):
        function["strict"] = True
    own = {name: tool[name] for name in _ANTHROPICS if tool.get(name) is not None}
    return {"type": "function", "function": function, **own, **cache_control_from(tool, where)}
