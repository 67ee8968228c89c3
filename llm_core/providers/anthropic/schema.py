"""JSON schemas as Claude takes them where it is held to one.

Claude compiles the schema into a grammar and knows fewer keywords than JSON Schema: objects must be
closed, and bounds on numbers, lengths and counts are refused. As Anthropic's own SDK does, a bound
is moved into the description, where the model reads it; who asked checks the answer anyhow.

Source:
    https://platform.claude.com/docs/en/build-with-claude/structured-outputs (checked 2026-11-20)
"""

from collections.abc import Mapping
from typing import Any

_Schema = dict[str, Any]

_BOUNDS = frozenset(
    {
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "uniqueItems",
        "minProperties",
        "maxProperties",
    }
)
_FORMATS = frozenset(
    {
        "date-time",
        "time",
        "date",
        "duration",
        "email",
        "hostname",
        "uri",
        "ipv4",
        "ipv6",
        "uuid",
    }
)
_SCHEMAS_BY_NAME = frozenset({"properties", "$defs", "definitions"})
_SCHEMA_LISTS = frozenset({"anyOf", "allOf", "oneOf"})
# What says something about a schema of several types as a whole.
_TYPES = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})
_ONLY_OF = {
    **dict.fromkeys(("properties", "required", "additionalProperties"), "object"),
    **dict.fromkeys(("items", "minItems", "maxItems", "uniqueItems"), "array"),
}
"""What says nothing about a value of any other type."""
_ABOUT_ALL_TYPES = frozenset({"description", "title", "default", "$defs", "definitions"})


def to_claude_schema(schema: Mapping[str, Any]) -> _Schema:
    """Give a schema with the same meaning that Claude takes, bounds said in words.

    What cannot be said (recursion, objects with free keys) is left for Anthropic to refuse.
    """
    if _has_types_to_split(schema):
        return _split_types(schema)
    fitted: _Schema = {}
    bounds: list[str] = []
    for name, value in schema.items():
        if _is_bound(name, value):
            bounds.append(f"{name}: {value}")
        else:
            fitted["anyOf" if name == "oneOf" else name] = _fitted(name, value)
    if fitted.get("type") == "object":
        fitted.setdefault("properties", {})
        fitted.setdefault("additionalProperties", False)
    if bounds:
        said = fitted.get("description")
        hint = "{" + ", ".join(bounds) + "}"
        fitted["description"] = f"{said}\n\n{hint}" if said else hint
    return fitted


def _is_bound(name: str, value: object) -> bool:
    if name == "minItems":
        # Claude takes "may be empty" and "at least one".
        return value not in (0, 1)
    return name in _BOUNDS or (name == "format" and str(value) not in _FORMATS)


def _fitted(name: str, value: Any) -> Any:  # noqa: ANN401 - any JSON
    if name in _SCHEMAS_BY_NAME and isinstance(value, dict):
        return {key: _fitted_schema(inner) for key, inner in value.items()}
    if name in _SCHEMA_LISTS and isinstance(value, list):
        return [_fitted_schema(inner) for inner in value]
    if name == "items":
        return _fitted_schema(value)
    return value


def _fitted_schema(value: Any) -> Any:  # noqa: ANN401 - any JSON
    return to_claude_schema(value) if isinstance(value, dict) else value


def _has_types_to_split(schema: Mapping[str, Any]) -> bool:
    types = schema.get("type")
    return (
        isinstance(types, list)
        and all(isinstance(type_, str) and type_ in _TYPES for type_ in types)
        and _SCHEMA_LISTS.isdisjoint(schema)
    )


def _split_types(schema: Mapping[str, Any]) -> _Schema:
    """`type: [string, null]`, as OpenAI writes optional fields, becomes a choice of two schemas.

    Each gets what is about its type: with all in each a schema would double at every level.
    """
    whole = {name: value for name, value in schema.items() if name in _ABOUT_ALL_TYPES}
    rest = {name: value for name, value in schema.items() if name not in _ABOUT_ALL_TYPES}
    one_each = [
        {"type": "null"}
        if type_ == "null"
        else {
            **{name: value for name, value in rest.items() if _ONLY_OF.get(name, type_) == type_},
            "type": type_,
        }
        for type_ in dict.fromkeys(schema["type"])
    ]
    return to_claude_schema({**whole, "anyOf": one_each})
