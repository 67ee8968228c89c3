"""JSON schemas as Gemini reads them in `responseJsonSchema` and `parametersJsonSchema`.

Both fields take JSON Schema rather than OpenAPI's older subset of it (`parameters`,
`responseSchema`), where `additionalProperties`, `$ref`, `const` and lists of types are each a 400;
all models since 2.0 have them. What Gemini reads there: `$id $defs $ref $anchor type format title
description enum items prefixItems minItems maxItems minimum maximum anyOf oneOf properties
additionalProperties required`. Other keywords are passed over in silence. So:

- `const` becomes an `enum` of one;
- `allOf` with one member becomes that member;
- a bound that would be passed over is said in the description, where the model reads it;
- beside `$ref` only names with `$` may stand; the rest is left out there.

Source:
    https://ai.google.dev/api/generate-content#GenerationConfig
    https://ai.google.dev/gemini-api/docs/structured-output
    Shape from the SDK's types (google-genai 3.4.0); the pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Mapping
from typing import Any

_Schema = dict[str, Any]

_BOUNDS = frozenset(
    {
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "pattern",
        "uniqueItems",
        "minProperties",
        "maxProperties",
    }
)
_SCHEMAS_BY_NAME = frozenset({"properties", "$defs", "definitions"})
_SCHEMA_LISTS = frozenset({"anyOf", "oneOf", "prefixItems"})
_SCHEMAS = frozenset({"items", "additionalProperties"})


def to_gemini_schema(schema: Mapping[str, Any]) -> _Schema:
    """Give a schema with the same meaning in the keywords that Gemini reads."""
    if "$ref" in schema:
        return {name: _fitted(name, value) for name, value in schema.items() if name[:1] == "$"}
    merged = _single(schema)
    fitted: _Schema = {}
    bounds: list[str] = []
    for name, value in merged.items():
        if name in _BOUNDS:
            bounds.append(f"{name}: {value}")
        elif name == "const":
            fitted["enum"] = [value]
        elif name != "$schema":
            fitted[name] = _fitted(name, value)
    if bounds:
        said = fitted.get("description")
        hint = "{" + ", ".join(bounds) + "}"
        fitted["description"] = f"{said}\n\n{hint}" if said else hint
    return fitted


def _single(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema with its `allOf` of one member, as pydantic writes it, resolved."""
    every = schema.get("allOf")
    if not (isinstance(every, list) and len(every) == 1 and isinstance(every[0], dict)):
        return schema
    rest = {name: value for name, value in schema.items() if name != "allOf"}
    return {**every[0], **rest}


def _fitted(name: str, value: Any) -> Any:  # noqa: ANN401 - any JSON
    if name in _SCHEMAS_BY_NAME and isinstance(value, dict):
        return {key: _fitted_schema(inner) for key, inner in value.items()}
    if name in _SCHEMA_LISTS and isinstance(value, list):
        return [_fitted_schema(inner) for inner in value]
    if name in _SCHEMAS:
        return _fitted_schema(value)
    return value


def _fitted_schema(value: Any) -> Any:  # noqa: ANN401 - any JSON
    return to_gemini_schema(value) if isinstance(value, dict) else value
