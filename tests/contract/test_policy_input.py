"""What the service builds is what `rego/schemas/input.json` says."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft7Validator, ValidationError

from tests.fixtures.policy_inputs import chat_input, documents, listing_input

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "rego" / "schemas" / "input.json").read_text(encoding="utf-8")
)
VALIDATOR = Draft7Validator(SCHEMA)


def _objects(schema: dict[str, Any]) -> list[dict[str, Any]]:
    inner = [
        *schema.get("properties", {}).values(),
        *([schema["items"]] if "items" in schema else []),
    ]
    here = [schema] if "properties" in schema else []
    return here + [found for part in inner for found in _objects(part)]


def test_the_schema_is_a_schema() -> None:
    Draft7Validator.check_schema(SCHEMA)


def test_the_schema_leaves_nothing_optional_and_nothing_open() -> None:
    """A rule may then count on every field, and a typo in a rule does not type-check."""
    for part in _objects(SCHEMA):
        assert part["additionalProperties"] is False
        assert sorted(part["required"]) == sorted(part["properties"])


def test_sample_inputs_keep_the_contract() -> None:
    VALIDATOR.validate(chat_input())
    VALIDATOR.validate(listing_input("chat", "o1-pro"))


@given(documents())
def test_every_built_input_keeps_the_contract(document: dict[str, Any]) -> None:
    VALIDATOR.validate(document)
    VALIDATOR.validate(json.loads(json.dumps(document, allow_nan=False)))


@pytest.mark.parametrize("part", sorted(SCHEMA["properties"]))
def test_an_input_that_lacks_a_part_breaks_the_contract(part: str) -> None:
    document = chat_input()
    del document[part]
    with pytest.raises(ValidationError):
        VALIDATOR.validate(document)
