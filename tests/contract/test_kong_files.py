"""kong.yaml and kong.conf, which an admin copies, fit the plugins and the service."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from devkong import schema as kong_schema
from devkong.conf import KongConf, parse_conf
from devkong.vault import Vault, is_reference
from policy_service.cli.kong import PLUGINS, config_lines

ROOT = Path(__file__).parents[2]
KONG = yaml.safe_load((ROOT / "kong.yaml").read_text(encoding="utf-8"))
SHIPPED = parse_conf((ROOT / "kong.conf").read_text(encoding="utf-8"))
PRINTED = parse_conf(config_lines(Path("/usr/local/kong"), Path("/opt/gatehouse/bin/python")))
ENVIRONMENT = {
    "GATEHOUSE_INTERNAL_SECRET": "internal",
    "OPENAI_API_KEY": "sk-1",
    "AZURE_OPENAI_API_KEY": "k-2",
    "ANTHROPIC_API_KEY": "sk-3",
    "GEMINI_API_KEY": "k-4",
    "MISTRAL_API_KEY": "k-5",
    "COHERE_API_KEY": "k-6",
    "BEDROCK_API_KEY": "k-7",
}
SECRETS = Vault(ENVIRONMENT)


def plugins() -> Iterator[dict[str, Any]]:
    """Every plugin of kong.yaml, wherever it hangs."""
    for holder in (KONG, *KONG["services"], *(r for s in KONG["services"] for r in s["routes"])):
        yield from holder.get("plugins", ())


def fields(name: str) -> list[dict[str, Any]]:
    return list(import_module(f"kong_plugins.{name.replace('-', '_')}.schema").SCHEMA)


@pytest.mark.parametrize("conf", [SHIPPED, PRINTED], ids=["kong.conf", "gatehouse kong config"])
def test_every_plugin_is_enabled_and_has_a_server_on_the_socket_that_kong_dials(
    conf: KongConf,
) -> None:
    assert conf.plugins == ("bundled", *PLUGINS)
    assert tuple(server.name for server in conf.plugin_servers) == PLUGINS
    for server in conf.plugin_servers:
        module = f"kong_plugins.{server.name.replace('-', '_')}"
        assert server.start_cmd
        assert server.query_cmd
        # The server listens on <prefix>/<plugin>.sock.
        prefix = server.start_cmd.partition(" --kong-prefix ")[2]
        assert server.socket == f"{prefix}/{server.name}.sock"
        assert f" -m {module} " in server.start_cmd
        assert server.query_cmd.endswith(f" -m {module} --dump")


def test_the_shipped_kong_conf_is_what_the_command_prints() -> None:
    assert SHIPPED == PRINTED


def test_kong_waits_for_a_plugin_longer_than_the_plugin_takes(tmp_path: Path) -> None:
    """Else a late answer would meet the next request on a pooled connection."""
    flags = import_module("kong_plugins._runtime.flags")
    deadline_s = flags.parse("llm-auth", ["-p", str(tmp_path)]).event_deadline_s
    assert deadline_s < SHIPPED.socket_read_timeout_s


def test_a_body_the_plugins_take_stays_in_kongs_memory() -> None:
    """A body on disk is a 500 in `get_raw_body`; up to twice that is ours to refuse."""
    for name in PLUGINS:
        [longest] = [rule["max_body_bytes"] for rule in fields(name) if "max_body_bytes" in rule]
        assert longest["default"] <= SHIPPED.body_buffer_bytes
        assert SHIPPED.max_body_bytes >= 2 * longest["default"]


def test_every_plugins_config_keeps_its_schema() -> None:
    for plugin in plugins():
        config = plugin.get("config") or {}
        checked = kong_schema.check(plugin["name"], fields(plugin["name"]), config, SECRETS)
        assert "" not in _texts(checked.config), "a reference leads nowhere"


def _texts(config: dict[str, Any]) -> Iterator[str]:
    for value in config.values():
        if isinstance(value, dict):
            yield from _texts(value)
        elif isinstance(value, str):
            yield value


def test_every_secret_is_a_vault_reference() -> None:
    for plugin in plugins():
        config = plugin.get("config") or {}
        for name, value in {**config, **config.get("credentials", {})}.items():
            is_secret = "secret" in name or name in config.get("credentials", {})
            assert is_reference(value) or not is_secret, f"{plugin['name']}: {name}"


def test_every_route_has_all_three_plugins_and_the_meter_once() -> None:
    """A route that lacks one is closed, and that is no use to anybody."""
    for service in KONG["services"]:
        shared = [plugin["name"] for plugin in service.get("plugins", ())]
        for route in service["routes"]:
            names = [*shared, *(plugin["name"] for plugin in route.get("plugins", ()))]
            assert sorted(names) == sorted(PLUGINS), route["name"]


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("POST", "/v1/chat/completions", "chat.completions"),
        ("GET", "/v1/models", "models"),
        ("GET", "/v1/chat/completions", None),
        ("POST", "/v1/models", None),
        ("POST", "/v1/completions", "completions"),
        ("POST", "/completions", "completions"),
        ("POST", "/v1/embeddings", "embeddings"),
        ("POST", "/v1/responses", "responses"),
        ("POST", "/v1/messages", "messages"),
        ("GET", "/v1/me", "me"),
        ("GET", "/me", "me"),
        ("GET", "/v1/me/usage", "me.usage"),
        ("GET", "/v1/me/keys", None),
        ("POST", "/v1/me", None),
        ("GET", "/v1/approvals", "approvals"),
        ("POST", "/approvals", "approvals.request"),
        ("GET", "/v1/approvals/apr_1", None),
        ("POST", "/v1/audio/speech", None),
    ],
)
def test_a_route_serves_the_operation_that_it_names(
    method: str, path: str, operation: str | None
) -> None:
    found = [
        plugin["config"]["operation"]
        for service in KONG["services"]
        for route in service["routes"]
        if method in route["methods"] and any(_matches(path, one) for one in route["paths"])
        for plugin in route["plugins"]
        if plugin["name"] == "llm-token-meter"
    ]
    assert found == ([] if operation is None else [operation])


def _matches(path: str, given: str) -> bool:
    """As Kong does: a regular expression behind `~`, else a prefix."""
    if given.startswith("~"):
        return re.match(given[1:], path) is not None
    return path.startswith(given)


def test_kong_proxies_to_the_relay_and_never_sends_a_call_twice() -> None:
    for service in KONG["services"]:
        assert service["url"].endswith("/relay")
        assert service["retries"] == 0
        for route in service["routes"]:
            assert route["strip_path"] is False
