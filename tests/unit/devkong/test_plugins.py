"""Which plugins a request gets, with which of their configurations."""

import json
from typing import Any

import pytest

from devkong.conf import KongConf, PluginServerConf, parse_conf
from devkong.declarative import parse_declaration
from devkong.errors import ConfigError
from devkong.plugins import PluginSet, plugin_info
from devkong.vault import Vault

SERVER = PluginServerConf("one", "/run/one.sock", None, "cat one.json")


def description(name: str, priority: int, **extra: object) -> dict[str, Any]:
    fields = [{"level": {"type": "string", "default": "none"}}]
    config = {"config": {"type": "record", "fields": fields}}
    return {
        "Name": name, "Priority": priority, "Version": "1", "Phases": ["access", "log"],
        "Schema": {"name": name, "fields": [config]}, **extra,
    }  # fmt: skip


CONF = parse_conf(
    "plugins = bundled,one,two\npluginserver_names = one,two\n"
    "pluginserver_one_query_cmd = one\npluginserver_two_query_cmd = two\n"
)
DUMPS = {
    "one": json.dumps([description("one", 10)]),
    "two": json.dumps([description("two", 20)]),
}
YAML = """
_format_version: "3.0"
services:
  - name: s
    id: s
    url: http://s
    plugins: [{name: one, config: {level: service}}]
    routes:
      - {name: r, id: r, paths: [/], plugins: [{name: one, config: {level: route}}]}
      - {name: other, id: other, paths: [/o], plugins: [{name: one, enabled: false}]}
consumers:
  - {username: ann, id: ann, plugins: [{name: two, config: {level: consumer}}]}
plugins:
  - {name: one, config: {level: global}}
  - {name: key-auth, route: r}
  - {name: two, config: {level: both}, consumer: ann, route: r}
"""


def plugin_set(conf: KongConf = CONF, content: str = YAML) -> PluginSet:
    return PluginSet(conf, parse_declaration(content), Vault({}), DUMPS.__getitem__)


def levels(plugins: PluginSet, *scope: str | None) -> list[tuple[str, str | None]]:
    found = plugins.for_request(*scope)  # type: ignore[arg-type]
    return [(each.plugin.name, each.config.get("level")) for each in found]


def test_the_most_specific_configuration_applies_and_priority_orders():
    plugins = plugin_set()
    assert levels(plugins, "r", "s", None) == [("key-auth", None), ("one", "route")]
    assert levels(plugins, "x", "s", None) == [("one", "service")]
    assert levels(plugins, None, None, None) == [("one", "global")]
    assert levels(plugins, "x", "s", "ann") == [("two", "consumer"), ("one", "service")]
    assert levels(plugins, "r", "s", "ann")[1] == ("two", "both")


def test_a_disabled_configuration_leaves_the_next_one():
    assert levels(plugin_set(), "other", "s", None) == [("one", "service")]


def test_kong_adds_its_own_fields():
    config = plugin_set().for_request("r", "s", None)[1].config
    assert config["route_id"] == "r"
    assert {"__plugin_id", "__seq__", "__key__", "__ws_id"} <= set(config)
    assert "service_id" not in config


@pytest.mark.parametrize(
    ("name", "message"),
    [("rate-limiting", "plugin rate-limiting: not enabled.*devkong has key-auth"),
     ("three", "plugin three: not enabled")],
)  # fmt: skip
def test_a_plugin_that_nobody_offers_is_an_error(name: str, message: str):
    with pytest.raises(ConfigError, match=message):
        plugin_set(content=f'_format_version: "3.0"\nplugins: [{{name: {name}}}]\n')


def test_an_enabled_plugin_without_a_server_is_an_error():
    with pytest.raises(ConfigError, match="plugin ghost: is enabled"):
        plugin_set(parse_conf("plugins = bundled,ghost"), '_format_version: "3.0"\n')


def test_key_auth_is_there_only_with_the_bundled_plugins():
    conf = parse_conf("plugins = off")
    with pytest.raises(ConfigError, match="plugin key-auth: not enabled"):
        plugin_set(conf, '_format_version: "3.0"\nplugins: [{name: key-auth}]\n')


def test_only_the_first_plugin_of_a_server_counts():
    dump = json.dumps([description("one", 1), description("two", 2)])
    assert plugin_info(SERVER, dump).name == "one"


@pytest.mark.parametrize("printed", ["", "no json", "[]", "[{}]", '{"Protocol": "ProtoBuf:1"}'])
def test_what_is_no_description_is_an_error_that_names_the_server(printed: str):
    with pytest.raises(ConfigError, match="plugin server one"):
        plugin_info(SERVER, printed)
