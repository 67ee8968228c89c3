"""The compose file is one, by the schema of the Compose specification."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.fixtures.services import go_module_or_skip

pytestmark = pytest.mark.integration

COMPOSE = yaml.safe_load((Path(__file__).parents[3] / "compose.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def specification() -> Draft202012Validator:
    module = go_module_or_skip("github.com/compose-spec/compose-go/v2")
    schema = json.loads((module / "schema" / "compose-spec.json").read_bytes())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_the_compose_file_says_nothing_that_compose_does_not_know(
    specification: Draft202012Validator,
) -> None:
    faults = [f"{fault.json_path}: {fault.message}" for fault in specification.iter_errors(COMPOSE)]
    assert faults == []


def misspelled(service: dict[str, Any]) -> None:
    service["readonly"] = service.pop("read_only")


def a_word_for_a_list(service: dict[str, Any]) -> None:
    service["cap_drop"] = "ALL"


def a_condition_that_is_none(service: dict[str, Any]) -> None:
    service["depends_on"]["redis"] = {"condition": "healthy"}


@pytest.mark.parametrize("spoil", [misspelled, a_word_for_a_list, a_condition_that_is_none])
def test_what_compose_would_refuse_is_found(
    specification: Draft202012Validator, spoil: Callable[[dict[str, Any]], None]
) -> None:
    compose = deepcopy(COMPOSE)
    spoil(compose["services"]["policy-service"])
    assert not specification.is_valid(compose)
