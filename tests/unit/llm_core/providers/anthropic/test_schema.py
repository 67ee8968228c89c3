import copy

from llm_core.providers.anthropic.schema import to_claude_schema


def test_objects_are_closed_and_bounds_are_said_in_words():
    schema = {
        "type": "object",
        "$defs": {"name": {"type": "string", "maxLength": 9, "description": "A name"}},
        "properties": {
            "names": {"type": "array", "items": {"$ref": "#/$defs/name"}, "minItems": 1},
            "age": {"type": "integer", "minimum": 0, "maximum": 150},
            "mail": {"type": "string", "format": "email"},
            "colour": {"type": "string", "format": "colour"},
            "inner": {"type": "object", "properties": {"x": {"type": "number"}}},
            "either": {"oneOf": [{"type": "string", "minLength": 1}, {"const": 0}]},
        },
    }
    before = copy.deepcopy(schema)
    assert to_claude_schema(schema) == {
        "type": "object",
        "$defs": {"name": {"type": "string", "description": "A name\n\n{maxLength: 9}"}},
        "properties": {
            "names": {"type": "array", "items": {"$ref": "#/$defs/name"}, "minItems": 1},
            "age": {"type": "integer", "description": "{minimum: 0, maximum: 150}"},
            "mail": {"type": "string", "format": "email"},
            "colour": {"type": "string", "description": "{format: colour}"},
            "inner": {
                "type": "object",
                "properties": {"x": {"type": "number"}},
                "additionalProperties": False,
            },
            "either": {
                "anyOf": [{"type": "string", "description": "{minLength: 1}"}, {"const": 0}]
            },
        },
        "additionalProperties": False,
    }
    assert schema == before


def test_a_property_may_be_called_like_a_keyword():
    schema = {"type": "object", "properties": {"minimum": {"type": "number"}}}
    assert to_claude_schema(schema)["properties"] == {"minimum": {"type": "number"}}


def test_several_types_become_a_choice():
    fitted = to_claude_schema({"type": ["string", "null"], "maxLength": 3, "description": "d"})
    assert fitted == {
        "description": "d",
        "anyOf": [{"type": "string", "description": "{maxLength: 3}"}, {"type": "null"}],
    }


def test_what_cannot_be_said_is_left_for_anthropic_to_refuse():
    schema = {"type": "object", "additionalProperties": {"type": "string"}}
    assert to_claude_schema(schema)["additionalProperties"] == {"type": "string"}
