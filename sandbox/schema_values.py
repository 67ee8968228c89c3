"""Builds a value that satisfies a JSON schema, the same one for the same seed.

Knows what the vendors' structured outputs allow: types, `properties`, `items`, `enum`, `const`,
`anyOf`, `oneOf`, `allOf` (merged), `$ref` into the same document, common string formats, and the
bounds of numbers, strings and arrays. `pattern` and `not` are not looked at.
"""

from collections.abc import Mapping
from typing import Any

_FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "P1D",
    "email": "sandbox@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/sandbox",
    "uuid": "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
}
_DEEPEST = 6
"""Levels after which a recursive schema is ended with `null`, an empty list or left-out members."""


def value_for(schema: Mapping[str, Any], seed: str, name: str = "value") -> object:
    """Build a value.

    Args:
        schema: A JSON schema, and the document that its `$ref`s point into.
        seed: Goes into strings, so that different requests give different values.
        name: What a string at the top is called.
    """
    return _Builder(schema, seed).build(schema, name, 0)


class _Builder:
    def __init__(self, document: Mapping[str, Any], seed: str) -> None:
        self._document = document
        self._seed = seed

    def build(self, schema: Mapping[str, Any], name: str, depth: int) -> object:
        schema = self._resolved(schema, depth)
        if "const" in schema or "enum" in schema:
            return schema.get("const", schema.get("enum", [None])[0])
        match self._type(schema, depth):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, name, depth)
            case "string":
                return self._string(schema, name)
            case scalar:
                return _scalar(schema, scalar)

    def _resolved(self, schema: Mapping[str, Any], depth: int) -> Mapping[str, Any]:
        for _ in range(16):  # a chain of references longer than this is a circle
            if "$ref" in schema:
                schema = self._referred(schema["$ref"])
            elif "allOf" in schema:
                merged = {key: value for key, value in schema.items() if key != "allOf"}
                for part in schema["allOf"]:
                    merged = _merged(merged, self._resolved(part, depth))
                schema = merged
            elif options := schema.get("anyOf") or schema.get("oneOf"):
                schema = self._chosen(options, depth)
            else:
                return schema
        return {}

    def _referred(self, reference: str) -> Mapping[str, Any]:
        found: Any = self._document
        for part in reference.removeprefix("#").strip("/").split("/"):
            if part:
                found = found.get(part.replace("~1", "/").replace("~0", "~"), {})
        return found if isinstance(found, Mapping) else {}

    def _chosen(self, options: list[Mapping[str, Any]], depth: int) -> Mapping[str, Any]:
        if depth >= _DEEPEST:
            for option in options:
                if option.get("type") == "null":
                    return option
        return options[0]

    def _type(self, schema: Mapping[str, Any], depth: int) -> str:
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = "null" if depth >= _DEEPEST and "null" in kind else kind[0]
        if kind is None and "properties" in schema:
            return "object"
        if kind is None and "items" in schema:
            return "array"
        return kind if isinstance(kind, str) else "string"

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, object]:
        required = schema.get("required", ())
        return {
            key: self.build(member, key, depth + 1)
            for key, member in schema.get("properties", {}).items()
            if depth < _DEEPEST or key in required
        }

    def _array(self, schema: Mapping[str, Any], name: str, depth: int) -> list[object]:
        least = int(schema.get("minItems", 0 if depth >= _DEEPEST else 1))
        wanted = min(least, int(schema.get("maxItems", least)))
        items = schema.get("items", {"type": "string"})
        return [self.build(items, f"{name} {place + 1}", depth + 1) for place in range(wanted)]

    def _string(self, schema: Mapping[str, Any], name: str) -> str:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        text = f"{name} {self._seed}".ljust(int(schema.get("minLength", 0)), "x")
        return text[: int(schema.get("maxLength", len(text)))]


def _scalar(schema: Mapping[str, Any], kind: str) -> object:
    match kind:
        case "integer":
            return int(_bounded(schema, 1))
        case "number":
            return _bounded(schema, 1)
        case "boolean":
            return True
        case _:
            return None


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    both = {**one, **other}
    if "properties" in one and "properties" in other:
        both["properties"] = {**one["properties"], **other["properties"]}
    if "required" in one and "required" in other:
        both["required"] = [*one["required"], *other["required"]]
    return both


def _bounded(schema: Mapping[str, Any], wanted: float) -> float:
    """The number nearest above `wanted` that the bounds and `multipleOf` allow."""
    step = schema.get("multipleOf", 1)
    if "maximum" in schema:
        wanted = min(wanted, schema["maximum"])
    if "exclusiveMaximum" in schema:
        wanted = min(wanted, schema["exclusiveMaximum"] - step)
    if "minimum" in schema:
        wanted = max(wanted, schema["minimum"])
    if "exclusiveMinimum" in schema:
        wanted = max(wanted, schema["exclusiveMinimum"] + step)
    if "multipleOf" in schema:
        wanted = -(-wanted // step) * step
    return wanted
