"""Tools and their choice: flat in the Responses API, nested in the chat API.

Source:
    https://platform.openai.com/docs/guides/function-calling (checked 2026-11-20)
    https://platform.openai.com/docs/guides/migrate-to-responses (checked 2026-11-20)
"""

from collections.abc import Mapping
from typing import Any

from llm_core.apis.responses.checks import a_list, a_text, an_object, not_one_of
from llm_core.apis.responses.refusals import refusal
from llm_core.errors import MalformedRequest

_Object = dict[str, Any]
_HOSTED = "it runs at the provider for a fee per call; offer a function, and run it yourself."
_CHOICES = ("none", "auto", "required")


def chat_tools(fields: Mapping[str, Any]) -> _Object:
    """The chat request's `tools`, `tool_choice` and `parallel_tool_calls`.

    Raises:
        MalformedRequest: A tool or the choice is none.
        UnsupportedParameter: A tool would run at the provider.
    """
    tools = fields.get("tools")
    nested = [
        _tool(an_object(tool, f"tools[{index}]"), f"tools[{index}]")
        for index, tool in enumerate(a_list([] if tools is None else tools, "tools"))
    ]
    choice = _choice(fields.get("tool_choice"))
    if not nested:
        if choice not in (None, "none", "auto"):
            raise MalformedRequest("'tool_choice' needs 'tools'.", param="tool_choice")
        # The chat API takes neither without tools; this one does.
        return {}
    chosen = {"tools": nested, "tool_choice": choice}
    chosen["parallel_tool_calls"] = fields.get("parallel_tool_calls")
    return {name: value for name, value in chosen.items() if value is not None}


def _tool(tool: _Object, where: str) -> _Object:
    kind = a_text(tool.get("type"), f"{where}.type")
    if kind not in ("function", "custom"):
        raise refusal(f"{where}.type", _HOSTED)
    if not a_text(tool.get("name"), f"{where}.name"):
        raise MalformedRequest(f"'{where}.name' must not be empty.", param=f"{where}.name")
    for name in ("defer_loading", "async"):
        if tool.get(name):
            raise refusal(f"{where}.{name}", "tools are offered from the start and awaited.")
    if tool.get("description") is not None:
        a_text(tool["description"], f"{where}.description")
    if kind == "custom":
        members = _known(tool, "name", "description")
        if tool.get("format") is not None:
            members["format"] = _grammar(an_object(tool["format"], f"{where}.format"))
        return {"type": kind, "custom": members}
    if tool.get("parameters") is not None:
        an_object(tool["parameters"], f"{where}.parameters")
    return {"type": kind, "function": _known(tool, "name", "description", "parameters", "strict")}


def _grammar(format_: _Object) -> _Object:
    if format_.get("type") != "grammar":
        return format_
    return {"type": "grammar", "grammar": _known(format_, "definition", "syntax")}


def _choice(choice: object) -> object:
    if choice is None or (isinstance(choice, str) and choice in _CHOICES):
        return choice
    if isinstance(choice, str):
        raise not_one_of("tool_choice", _CHOICES)
    wanted = an_object(choice, "tool_choice")
    if wanted.get("type") != "allowed_tools":
        return _named(wanted, "tool_choice")
    if wanted.get("mode") not in ("auto", "required"):
        raise not_one_of("tool_choice.mode", ("auto", "required"))
    allowed = [
        _named(an_object(tool, f"tool_choice.tools[{index}]"), f"tool_choice.tools[{index}]")
        for index, tool in enumerate(a_list(wanted.get("tools"), "tool_choice.tools"))
    ]
    nested = {"mode": wanted["mode"], "tools": allowed}
    return {"type": "allowed_tools", "allowed_tools": nested}


def _named(wanted: _Object, where: str) -> _Object:
    kind = a_text(wanted.get("type"), f"{where}.type")
    if kind not in ("function", "custom"):
        raise refusal(f"{where}.type", _HOSTED)
    return {"type": kind, kind: {"name": a_text(wanted.get("name"), f"{where}.name")}}


def _known(members: _Object, *names: str) -> _Object:
    return {name: members[name] for name in names if members.get(name) is not None}
