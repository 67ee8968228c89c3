"""OpenAI's tools and tool choice as Gemini's function declarations and their configuration.

| OpenAI `tool_choice` | `functionCallingConfig` |
|---|---|
| absent, `auto` | none; `VALIDATED` when a function is `strict` |
| `none` | `NONE` |
| `required` | `ANY` |
| `{type: function}` | `ANY` with that name |
| `{type: allowed_tools}` | `VALIDATED` or `ANY` with those names |

`VALIDATED` is `AUTO` whose calls are held to their schema, which is what `strict` asks for; `ANY`
does so anyhow. `parallel_tool_calls: false` is refused: Gemini cannot be kept from calling twice.

Source:
    https://ai.google.dev/gemini-api/docs/generate-content/function-calling
    Shape from the SDK's types (google-genai 3.4.0); the pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Container, Mapping
from typing import Any

from llm_core.chat.request import ChatRequest
from llm_core.errors import MalformedRequest
from llm_core.providers.gemini.schema import to_gemini_schema
from llm_core.providers.gemini.vendor import Vendor

_Object = dict[str, Any]

# A schema with nothing beside these says no more than "an object".
_EMPTY = frozenset({"type", "properties", "required", "additionalProperties", "$schema"})


def tools_to_gemini(request: ChatRequest, vendor: Vendor) -> _Object:
    """Give `tools` and `toolConfig`; empty when the request has no tools.

    Raises:
        UnsupportedParameter: A kind of tool or choice that Gemini lacks.
        MalformedRequest: A choice that OpenAI would not take either.
    """
    asked = request.fields.get("tools") or []
    choice = request.fields.get("tool_choice")
    if not asked:
        if _mode(choice) in ("required", "function", "allowed_tools"):
            raise MalformedRequest("'tool_choice' needs 'tools'.", param="tool_choice")
        return {}
    if request.fields.get("parallel_tool_calls") is False:
        raise vendor.unsupported("parallel_tool_calls", "it may always make several calls at once.")
    declared = [_declaration(tool, f"tools[{i}]", vendor) for i, tool in enumerate(asked)]
    names = {function["name"] for function in declared}
    is_strict = any(tool["function"].get("strict") for tool in asked)
    config = _calling_config(choice, names, vendor, is_strict=is_strict)
    tools: _Object = {"tools": [{"functionDeclarations": declared}]}
    if config is not None:
        tools["toolConfig"] = {"functionCallingConfig": config}
    return tools


def _declaration(tool: Mapping[str, Any], where: str, vendor: Vendor) -> _Object:
    if tool["type"] != "function":
        raise vendor.unsupported(
            f"{where}.type", "only tools of the type 'function' can be offered."
        )
    function = tool["function"]
    declared: _Object = {"name": function["name"]}
    if function.get("description"):
        declared["description"] = function["description"]
    parameters = function.get("parameters")
    # A function without parameters has no schema here; an object without properties is refused.
    if parameters and (parameters.get("properties") or set(parameters) - _EMPTY):
        declared["parametersJsonSchema"] = to_gemini_schema(parameters)
    return declared


def _calling_config(
    choice: str | Mapping[str, Any] | None,
    names: Container[str],
    vendor: Vendor,
    *,
    is_strict: bool,
) -> _Object | None:
    match _mode(choice):
        case None | "auto":
            return {"mode": "VALIDATED"} if is_strict else None
        case "none":
            return {"mode": "NONE"}
        case "required":
            return {"mode": "ANY"}
        case "function":
            name = _named(choice, names, "tool_choice.function.name")
            return {"mode": "ANY", "allowedFunctionNames": [name]}
        case "allowed_tools" if isinstance(choice, Mapping):
            return _allowed(choice.get("allowed_tools"), names)
        case other:
            raise vendor.unsupported("tool_choice", f"there is no choice '{other}'.")


def _mode(choice: str | Mapping[str, Any] | None) -> object:
    return choice.get("type") if isinstance(choice, Mapping) else choice


def _allowed(allowed: object, names: Container[str]) -> _Object:
    where = "tool_choice.allowed_tools"
    if not isinstance(allowed, dict) or not isinstance(allowed.get("tools"), list):
        raise MalformedRequest(f"'{where}.tools' must be a list.", param=f"{where}.tools")
    chosen = [_named(tool, names, f"{where}.tools") for tool in allowed["tools"]]
    mode = "ANY" if allowed.get("mode") == "required" else "VALIDATED"
    return {"mode": mode, "allowedFunctionNames": chosen}


def _named(choice: object, names: Container[str], where: str) -> str:
    function = choice.get("function") if isinstance(choice, Mapping) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or name not in names:
        raise MalformedRequest(f"'{where}' must name one of 'tools'.", param=where)
    return name
