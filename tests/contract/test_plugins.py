"""What Kong is told about a plugin is what the plugin is."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import MISSING, fields
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from devkong import schema as kong_schema
from devkong.errors import ConfigError
from devkong.vault import Vault
from kong_plugins._runtime.description import describe, plugin_info
from policy_service.cli.kong import PLUGINS

ARCHITECTURE = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text("utf-8")
REQUIRED = {
    "llm-auth": {"policy_url": "http://x.test", "policy_secret": "s"},
    "llm-token-meter": {"policy_url": "http://x.test", "policy_secret": "s"},
    "llm-provider-transform": {},
}
each_plugin = pytest.mark.parametrize("name", PLUGINS)


def part(name: str, module: str) -> ModuleType:
    return import_module(f"kong_plugins.{name.replace('-', '_')}.{module}")


def rules(name: str) -> dict[str, dict[str, Any]]:
    """The schema's fields by name; none stands there twice."""
    found: dict[str, dict[str, Any]] = {}
    for entry in part(name, "schema").SCHEMA:
        [(field, rule)] = entry.items()
        assert field not in found
        found[field] = rule
    return found


def described_in_the_table() -> dict[str, tuple[int, list[str]]]:
    """Priority and phases by plugin, from the documents."""
    rows = re.findall(r"^\| `(llm-[a-z-]+)` \| (\d+) \| ([a-z, ]+) \|", ARCHITECTURE, re.MULTILINE)
    return {name: (int(priority), phases.split(", ")) for name, priority, phases in rows}


@each_plugin
def test_the_schema_and_the_config_have_the_same_fields_with_the_same_defaults(name: str) -> None:
    config = {field.name: field for field in fields(part(name, "schema").Config)}
    schema = rules(name)
    assert set(schema) == set(config)
    for field, rule in schema.items():
        made = config[field]
        default = made.default if made.default_factory is MISSING else made.default_factory()
        if rule.get("required"):
            assert (default, rule.get("default")) == (MISSING, None), field
        else:
            # A field without a default may be left out, and is null then.
            assert default == rule.get("default"), field


@each_plugin
def test_every_field_is_described_and_bounded(name: str) -> None:
    for field, rule in rules(name).items():
        assert rule["description"].endswith("."), field
        if rule["type"] in ("number", "integer"):
            assert "gt" in rule or "between" in rule, field


@each_plugin
def test_a_secret_can_be_a_vault_reference(name: str) -> None:
    for field, rule in rules(name).items():
        if "secret" in field or "credential" in field:
            assert rule.get("referenceable") or rule["values"]["referenceable"], field


@each_plugin
def test_what_kong_completes_is_what_the_plugin_reads(name: str) -> None:
    """Kong fills defaults in and adds fields of its own; an unset one arrives as null."""
    checked = kong_schema.check(name, list(part(name, "schema").SCHEMA), REQUIRED[name], Vault({}))
    kongs_own = {"__plugin_id": "x", "__seq__": 1, "$refs": {}, "route_id": "y"}
    config = part(name, "schema").Config
    assert config.from_kong({**checked.config, **kongs_own}) == config(**REQUIRED[name])
    unset = {field: None for field in rules(name) if field not in REQUIRED[name]}
    assert config.from_kong({**REQUIRED[name], **unset}) == config(**REQUIRED[name])


@pytest.mark.parametrize(
    ("name", "field", "wrong"),
    [
        ("llm-auth", "timeout_ms", 0),
        ("llm-auth", "timeout_ms", "fast"),
        ("llm-auth", "max_body_bytes", -1),
        ("llm-auth", "cache_ttl_s", 301),
        ("llm-auth", "no_such_field", 1),
        ("llm-token-meter", "timeout_ms", 0),
        ("llm-token-meter", "operation", "audio.speech"),
        ("llm-token-meter", "on_client_gone", "forget"),
        ("llm-token-meter", "cache_similarity", 1.5),
        ("llm-token-meter", "journal_retry_s", 0),
        ("llm-provider-transform", "direct", "yes"),
        ("llm-provider-transform", "credentials", "sk-1"),
        ("llm-provider-transform", "credentials", {"openai": 5}),
    ],
)
def test_kong_refuses_what_the_plugin_could_not_use(name: str, field: str, wrong: object) -> None:
    given = {**REQUIRED[name], field: wrong}
    with pytest.raises(ConfigError):
        kong_schema.check(name, list(part(name, "schema").SCHEMA), given, Vault({}))


@each_plugin
def test_a_plugin_without_what_it_must_have_is_refused(name: str) -> None:
    for missing in REQUIRED[name]:
        given = {key: value for key, value in REQUIRED[name].items() if key != missing}
        with pytest.raises(ConfigError, match=missing):
            kong_schema.check(name, list(part(name, "schema").SCHEMA), given, Vault({}))


@each_plugin
def test_the_dump_is_what_the_table_of_plugins_says(name: str) -> None:
    [told] = json.loads(dumped(name))
    priority, phases = described_in_the_table()[name]
    assert (told["Name"], told["Priority"]) == (name, priority)
    assert sorted(told["Phases"]) == sorted(phases)
    assert told["Schema"]["name"] == name
    # What Kong reads from the process is what the code says.
    schema = part(name, "schema")
    described = describe(
        name,
        part(name, "plugin").Plugin,
        version=schema.VERSION,
        priority=schema.PRIORITY,
        schema=schema.SCHEMA,
    )
    info = json.loads(json.dumps(plugin_info(described)))
    # kong-pdk keeps phases in a set.
    assert {**told, "Phases": set(phases)} == {**info, "Phases": set(info["Phases"])}


def dumped(name: str) -> str:
    command: Sequence[str] = [sys.executable, "-m", part(name, "__main__").__name__, "--dump"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return ran.stdout


def test_plugins_run_in_the_order_in_which_they_lean_on_each_other() -> None:
    priorities = {name: part(name, "schema").PRIORITY for name in PLUGINS}
    key_auth, ai_proxy = 1250, 770
    assert key_auth > priorities["llm-auth"] > priorities["llm-token-meter"]
    # The last one with a `response` phase, or another would turn buffering on again.
    assert priorities["llm-provider-transform"] < min(ai_proxy, priorities["llm-token-meter"])
    assert list(described_in_the_table()) == list(PLUGINS)
