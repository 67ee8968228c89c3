"""Plugins: what their servers say of them, their configurations, and which a request gets."""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from devkong import schema
from devkong.conf import KongConf, PluginServerConf
from devkong.context import Context
from devkong.entities import Declaration, PluginEntity
from devkong.errors import ConfigError
from devkong.key_auth import KeyAuth
from devkong.known_groups import KnownGroups
from devkong.pdk import call as call_pdk
from devkong.plugin_server import PluginServer
from devkong.vault import Vault

_WORKSPACE_ID = "0dfbdc1d-0000-4000-8000-6465766b6f6e"
_KONGS_PHASES = ("certificate", "rewrite", "preread", "access", "response", "log")

Query = Callable[[str], str]
"""Runs a query command and gives what it prints."""

_Scope = tuple[str | None, str | None, str | None]


class Plugin(Protocol):
    """One plugin, Kong's own or in a plugin server."""

    name: str
    priority: int
    phases: frozenset[str]

    async def run(self, phase: str, config: dict[str, Any], context: Context) -> None:
        """Run one phase.

        Raises:
            LuaError: The phase ends with a 500.
            ResponseExit: The plugin answers the client itself.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class ExternalPlugin:
    """A plugin in a plugin server."""

    def __init__(self, info: "PluginInfo", server: PluginServer) -> None:
        self.name = info.name
        self.priority = info.priority
        self.phases = frozenset(info.phases)
        self._server = server

    async def run(self, phase: str, config: dict[str, Any], context: Context) -> None:
        """Run one phase in the plugin server; see `PluginServer.handle_event`."""
        await self._server.handle_event(
            config, phase, lambda method, args: call_pdk(context, method, args)
        )

    def close(self) -> None:
        """Close the connections to the server."""
        self._server.close()


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """What a plugin server's `--dump` says of its plugin."""

    name: str
    priority: int
    version: str | None
    phases: tuple[str, ...]
    fields: list[schema.Field]


@dataclass(frozen=True, slots=True)
class Configured:
    """A plugin with one of its configurations."""

    plugin: Plugin
    config: dict[str, Any] = field(repr=False)


def plugin_info(server: PluginServerConf, printed: str) -> PluginInfo:
    """Read what a query command printed; Kong takes only the first plugin.

    Raises:
        ConfigError: It is no plugin description.
    """
    where = f"plugin server {server.name}: query_cmd"
    try:
        dump = json.loads(printed)
    except ValueError as error:
        raise ConfigError(f"{where} printed no JSON: {printed[:200]!r}") from error
    if isinstance(dump, dict):
        protocol = dump.get("Protocol", "MsgPack:1")
        if protocol != "MsgPack:1":
            raise ConfigError(f"{where}: devkong does not speak {protocol}")
        dump = dump.get("Plugins", dump)
    entry = dump[0] if isinstance(dump, list) and dump else dump
    try:
        fields = next(item["config"] for item in entry["Schema"]["fields"] if "config" in item)
        return PluginInfo(
            name=str(entry["Name"]),
            priority=int(entry.get("Priority") or 0),
            version=entry.get("Version"),
            phases=tuple(phase for phase in entry["Phases"] if phase in _KONGS_PHASES),
            fields=list(fields.get("fields", [])),
        )
    except (KeyError, TypeError, AttributeError, ValueError, StopIteration) as error:
        raise ConfigError(f"{where}: no plugin description: {error!r}") from error


class PluginSet:
    """All plugins that are enabled and configured.

    Raises:
        ConfigError: A plugin is unknown, not enabled, or its configuration does not fit.
    """

    def __init__(
        self, conf: KongConf, declaration: Declaration, vault: Vault, query: Query
    ) -> None:
        infos = [
            (server, plugin_info(server, query(server.query_cmd)))
            for server in conf.plugin_servers
            if server.query_cmd
        ]
        self._fields: dict[str, list[schema.Field]] = {}
        self._plugins: dict[str, Plugin] = {}
        for server, info in infos:
            if info.name in self._plugins:
                raise ConfigError(f"plugin {info.name}: offered by two plugin servers")
            rpc = PluginServer(info.name, server.socket, conf.socket_read_timeout_s)
            self._add(ExternalPlugin(info, rpc), info.fields)
        self._add(KeyAuth((), ()), KeyAuth.fields)
        self._add(KnownGroups(), KnownGroups.fields)
        self._conf = conf
        self._vault = vault
        self._numbers = itertools.count(1)
        self._check_offered()
        self.configure(declaration)

    @property
    def enabled(self) -> frozenset[str]:
        """The plugins that kong.conf enables and that are there."""
        own = {KeyAuth.name, KnownGroups.name} if "bundled" in self._conf.plugins else set()
        return frozenset({*self._conf.plugins, *own} - {"bundled"})

    def described(self, name: str) -> tuple[Plugin, list[schema.Field]]:
        """An enabled plugin, and the fields of its configuration."""
        return self._plugins[name], self._fields[name]

    def configure(self, declaration: Declaration) -> None:
        """Take other configurations; plugin instances start anew, as in Kong.

        Raises:
            ConfigError: One does not fit; then the ones before stay.
        """
        self._check_enabled([entity.name for entity in declaration.plugins])
        configs = self._configured(declaration.plugins)
        self._plugins[KeyAuth.name] = KeyAuth(declaration.consumers, declaration.key_credentials)
        self._configs = configs
        self._has_consumer_scope = any(key[3] for key in configs)
        self._by_scope: dict[tuple[str | None, str | None], tuple[Configured, ...]] = {}

    def for_request(
        self, route_id: str | None, service_id: str | None, consumer_id: str | None
    ) -> Sequence[Configured]:
        """The plugins of a request, highest priority first, each with its most specific config."""
        if consumer_id is not None and self._has_consumer_scope:
            return self._resolved(route_id, service_id, consumer_id)
        scope = (route_id, service_id)
        found = self._by_scope.get(scope)
        if found is None:
            found = self._by_scope[scope] = tuple(self._resolved(route_id, service_id, None))
        return found

    def close(self) -> None:
        """Close the connections to all plugin servers."""
        for plugin in self._plugins.values():
            plugin.close()

    def _add(self, plugin: Plugin, fields: list[schema.Field]) -> None:
        self._plugins[plugin.name] = plugin
        self._fields[plugin.name] = fields

    def _check_offered(self) -> None:
        for name in sorted(self.enabled):
            if name not in self._plugins:
                raise ConfigError(
                    f"plugin {name}: is enabled in kong.conf, but no plugin server offers it"
                )

    def _check_enabled(self, configured: list[str]) -> None:
        for name in configured:
            if name not in self.enabled:
                hint = "" if name in self._plugins else " (of Kong's own, devkong has key-auth)"
                raise ConfigError(
                    f"plugin {name}: not enabled; add it to `plugins` in kong.conf{hint}"
                )

    def _configured(
        self, entities: Sequence[PluginEntity]
    ) -> Mapping[tuple[str | None, ...], dict[str, Any]]:
        configs: dict[tuple[str | None, ...], dict[str, Any]] = {}
        for entity in entities:
            fields = self._fields[entity.name]
            checked = schema.check(entity.name, fields, entity.config, self._vault)
            scope = (entity.name, entity.route_id, entity.service_id, entity.consumer_id)
            if entity.enabled:
                configs[scope] = _with_kongs_fields(checked, entity, next(self._numbers))
        return configs

    def _resolved(
        self, route_id: str | None, service_id: str | None, consumer_id: str | None
    ) -> list[Configured]:
        scopes = _scopes(route_id, service_id, consumer_id)
        result: list[Configured] = []
        for plugin in sorted(self._plugins.values(), key=lambda each: (-each.priority, each.name)):
            for route, service, consumer in scopes:
                config = self._configs.get((plugin.name, route, service, consumer))
                if config is not None:
                    result.append(Configured(plugin, config))
                    break
        return result


def _scopes(route: str | None, service: str | None, consumer: str | None) -> list[_Scope]:
    """What a configuration may be attached to, in Kong's order of precedence."""
    ordered = [
        (route, service, consumer),
        (route, None, consumer),
        (None, service, consumer),
        (route, service, None),
        (None, None, consumer),
        (route, None, None),
        (None, service, None),
        (None, None, None),
    ]
    return list(dict.fromkeys(ordered))


def _with_kongs_fields(
    checked: schema.Checked, entity: PluginEntity, number: int
) -> dict[str, Any]:
    """The configuration with what Kong adds before it starts an instance."""
    scope = (entity.route_id, entity.service_id, entity.consumer_id)
    config = {
        **checked.config,
        "__plugin_id": entity.id,
        "__seq__": number,
        "__key__": f"plugins:{entity.name}:{':'.join(each or '' for each in scope)}::"
        f":{_WORKSPACE_ID}",
        "__ws_id": _WORKSPACE_ID,
    }
    if checked.references:
        config["$refs"] = checked.references
    for name, value in (
        ("route_id", entity.route_id),
        ("service_id", entity.service_id),
        ("consumer_id", entity.consumer_id),
        ("plugin_instance_name", entity.instance_name),
    ):
        if value is not None:
            config[name] = value
    return config
