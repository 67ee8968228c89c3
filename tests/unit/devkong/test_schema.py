"""A plugin's schema, and vault references in its configuration."""

from typing import Any

import pytest

from devkong.errors import ConfigError
from devkong.schema import check
from devkong.vault import Vault

FIELDS: list[dict[str, Any]] = [
    {"url": {"type": "string", "required": True}},
    {"ttl_s": {"type": "number", "default": 5, "gt": 0}},
    {"mode": {"type": "string", "default": "a", "one_of": ["a", "b"]}},
    {"size": {"type": "integer", "between": [1, 10]}},
    {"on": {"type": "boolean"}},
    {"names": {"type": "array", "elements": {"type": "string"}, "default": ["x"]}},
    {"secret": {"type": "string", "referenceable": True}},
    {
        "credentials": {
            "type": "map",
            "keys": {"type": "string"},
            "values": {"type": "string", "referenceable": True},
        }
    },
    {
        "nested": {
            "type": "record",
            "required": True,
            "fields": [{"depth": {"type": "integer", "default": 3}}],
        }
    },
]


def checked(config: dict[str, Any], environment: dict[str, str] | None = None) -> dict[str, Any]:
    return check("p", FIELDS, {"url": "u", **config}, Vault(environment or {})).config


def test_defaults_are_filled_in_also_within_required_records():
    assert checked({}) == {
        "url": "u", "ttl_s": 5, "mode": "a", "names": ["x"], "nested": {"depth": 3},
    }  # fmt: skip


def test_defaults_are_not_shared_between_configurations():
    checked({})["names"].append("y")
    assert checked({})["names"] == ["x"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"url": None}, r"plugin p: config.url: required field missing"),
        ({"ttl_s": 0}, r"config.ttl_s: value must be greater than 0"),
        ({"ttl_s": "5"}, r"config.ttl_s: expected a number"),
        ({"mode": "c"}, r"config.mode: expected one of: a, b"),
        ({"size": 11}, r"config.size: value should be between 1 and 10"),
        ({"size": 1.5}, r"config.size: expected an integer"),
        ({"on": "yes"}, r"config.on: expected a boolean"),
        ({"names": "x"}, r"config.names: expected an array"),
        ({"names": [1]}, r"config.names.1: expected a string"),
        ({"credentials": {"openai": 1}}, r"config.credentials.openai: expected a string"),
        ({"nested": {"depth": "deep"}}, r"config.nested.depth: expected an integer"),
        ({"surprise": 1}, r"config.surprise: unknown field"),
        ({"secret": ""}, r"config.secret: length must be at least 1"),
    ],
)
def test_what_does_not_fit_is_an_error_that_names_plugin_and_field(
    config: dict[str, Any], message: str
):
    with pytest.raises(ConfigError, match=message):
        checked(config)


def test_references_are_resolved_and_remembered():
    config = {
        "secret": "{vault://env/openai-key}",
        "credentials": {"plain": "p", "openai": "{vault://env/openai-key}"},
    }
    result = check("p", FIELDS, {"url": "u", **config}, Vault({"OPENAI_KEY": "k"}))
    assert result.config["secret"] == "k"
    assert result.config["credentials"] == {"plain": "p", "openai": "k"}
    assert result.references == {
        "secret": "{vault://env/openai-key}",
        "credentials": {"openai": "{vault://env/openai-key}"},
    }


def test_a_reference_that_leads_nowhere_is_an_empty_string_with_a_warning(
    caplog: pytest.LogCaptureFixture,
):
    assert checked({"secret": "{vault://env/no-key}"})["secret"] == ""
    assert "no-key" in caplog.text


def test_a_reference_in_a_field_that_is_not_referenceable_stays_text():
    assert checked({"url": "{vault://env/openai-key}"}, {"OPENAI_KEY": "k"})["url"].startswith("{")


def test_a_path_picks_a_property_of_a_secret_in_json():
    environment = {"KEYS": '{"openai": "k"}'}
    assert checked({"secret": "{vault://env/keys/openai}"}, environment)["secret"] == "k"
    assert checked({"secret": "{vault://env/keys/azure}"}, environment)["secret"] == ""
