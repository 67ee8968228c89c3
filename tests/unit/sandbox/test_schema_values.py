from typing import Any

import jsonschema
import pytest

from sandbox.schema_values import value_for

NODE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
        "children": {"type": "array", "items": {"$ref": "#"}},
    },
    "required": ["name", "next", "children"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "minLength": 30},
        {"type": "string", "maxLength": 4},
        {"type": "string", "format": "email"},
        {"type": "integer", "minimum": 5, "maximum": 9},
        {"type": "integer", "exclusiveMinimum": 10, "multipleOf": 4},
        {"type": "number", "maximum": -2},
        {"type": "array", "items": {"type": "boolean"}, "minItems": 3, "maxItems": 3},
        {"type": ["null", "string"]},
        {"enum": ["red", "green"]},
        {"const": 7},
        {"oneOf": [{"type": "integer"}, {"type": "string"}]},
        {
            "allOf": [
                {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
                {"properties": {"b": {"type": "integer"}}, "required": ["b"]},
            ]
        },
        {"$ref": "#/$defs/x", "$defs": {"x": {"type": "boolean"}}},
        {"properties": {"a": {"type": "integer"}}, "required": ["a"]},
        NODE,
    ],
)
def test_the_value_satisfies_the_schema(schema: dict[str, Any]):
    jsonschema.validate(value_for(schema, "seed"), schema)


def test_the_same_seed_gives_the_same_value_and_another_seed_another():
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert value_for(schema, "1") == value_for(schema, "1") != value_for(schema, "2")


def test_a_circle_of_references_ends():
    assert value_for({"$ref": "#"}, "seed") is not NODE
