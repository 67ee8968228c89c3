"""kong.yaml: Kong's declarative configuration, nested or flat."""

import re
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from devkong.entities import (
    DEFAULT_RETRIES,
    DEFAULT_TIMEOUT_MS,
    Consumer,
    Declaration,
    KeyCredential,
    PluginEntity,
    Route,
    Service,
)
from devkong.errors import ConfigError

_NAMESPACE = uuid.UUID("7c1a3a1e-0d0b-4b52-9f5e-6b6d6f6e6700")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_FORMAT_VERSIONS = ("1.1", "2.1", "3.0")
_KNOWN_SECTIONS = {
    "_format_version", "_transform", "_info", "services", "routes", "consumers",
    "keyauth_credentials", "plugins",
}  # fmt: skip

Yaml = dict[str, Any]


def read_declaration(path: Path) -> Declaration:
    """Read a kong.yaml file.

    Raises:
        ConfigError: The file cannot be read, or does not describe a gateway.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    return parse_declaration(content)


def parse_declaration(content: str) -> Declaration:
    """Read the text of a kong.yaml.

    Raises:
        ConfigError: It is no YAML, or does not describe a gateway; the message says where.
    """
    try:
        document = yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise ConfigError(f"kong.yaml is not YAML: {error}") from error
    except (ValueError, LookupError, AttributeError, TypeError, ArithmeticError) as error:
        # PyYAML stumbles over values that only look like a date or a number: `2026-13-45`.
        raise ConfigError("kong.yaml: a value has the form of a date or number, and is none") from (
            error
        )
    except RecursionError as error:
        raise ConfigError("kong.yaml is nested too deeply") from error
    _refuse_loops(document, set(), set())
    if not isinstance(document, dict):
        raise ConfigError("kong.yaml must be a mapping")
    if str(document.get("_format_version")) not in _FORMAT_VERSIONS:
        raise ConfigError(f"kong.yaml: _format_version must be one of {_FORMAT_VERSIONS}")
    unknown = sorted(set(document) - _KNOWN_SECTIONS)
    if unknown:
        raise ConfigError(f"kong.yaml: devkong does not know {', '.join(unknown)}")
    return read_entities(document)


def read_entities(document: Yaml) -> Declaration:
    """Read entities, nested or flat, as a kong.yaml or the Admin API has them.

    Raises:
        ConfigError: They do not describe a gateway; the message says where.
    """
    return _Reader().read(document)


def _refuse_loops(value: object, within: set[int], done: set[int]) -> None:
    """An alias may stand for what it stands in; no configuration can be that."""
    here = id(value)
    if not isinstance(value, dict | list) or here in done:
        return
    if here in within:
        raise ConfigError("kong.yaml: an alias contains itself")
    within.add(here)
    for inner in value.values() if isinstance(value, dict) else value:
        _refuse_loops(inner, within, done)
    within.discard(here)
    done.add(here)  # an alias used a thousand times is looked at once


class _Reader:
    """Collects entities from wherever they are nested."""

    def __init__(self) -> None:
        self.services: list[Service] = []
        self.routes: list[Route] = []
        self.consumers: list[Consumer] = []
        self.credentials: list[KeyCredential] = []
        self.plugins: list[PluginEntity] = []

    def read(self, document: Yaml) -> Declaration:
        for entry in _entries(document, "services", "kong.yaml"):
            self._service(entry)
        for entry in _entries(document, "routes", "kong.yaml"):
            reference = entry.get("service")
            service = self._named(self.services, reference, "service") if reference else None
            self._route(entry, service)
        for entry in _entries(document, "consumers", "kong.yaml"):
            self._consumer(entry)
        for entry in _entries(document, "keyauth_credentials", "kong.yaml"):
            self._credential(entry, self._named(self.consumers, entry.get("consumer"), "consumer"))
        for entry in _entries(document, "plugins", "kong.yaml"):
            self._plugin(entry)
        self._check_plugins_are_unique()
        return Declaration(
            services=tuple(self.services),
            routes=tuple(self.routes),
            consumers=tuple(self.consumers),
            key_credentials=tuple(self.credentials),
            plugins=tuple(self.plugins),
        )

    def _service(self, entry: Yaml) -> None:
        name = entry.get("name")
        where = f"service {name or entry.get('url') or entry.get('host')}"
        protocol, host, port, path = _target(entry, where)
        service = Service(
            id=_id(entry, "service", name or f"{protocol}://{host}:{port}{path or ''}"),
            name=name,
            protocol=protocol,
            host=host,
            port=port,
            path=path,
            retries=_integer(entry, "retries", DEFAULT_RETRIES, where),
            connect_timeout_ms=_integer(entry, "connect_timeout", DEFAULT_TIMEOUT_MS, where),
            write_timeout_ms=_integer(entry, "write_timeout", DEFAULT_TIMEOUT_MS, where),
            read_timeout_ms=_integer(entry, "read_timeout", DEFAULT_TIMEOUT_MS, where),
            enabled=bool(entry.get("enabled", True)),
            tags=_strings(entry, "tags", where),
        )
        self.services.append(service)
        for route in _entries(entry, "routes", where):
            self._route(route, service)
        for plugin in _entries(entry, "plugins", where):
            self._plugin({**plugin, "service": service.id})

    def _route(self, entry: Yaml, service: Service | None) -> None:
        name = entry.get("name")
        where = f"route {name or entry.get('paths')}"
        headers = entry.get("headers") or {}
        if not isinstance(headers, dict):
            raise ConfigError(f"{where}: headers must be a mapping of name to values")
        route = Route(
            id=_id(entry, "route", name or f"{service and service.id}/{len(self.routes)}"),
            name=name,
            service=service,
            paths=_strings(entry, "paths", where),
            methods=_strings(entry, "methods", where),
            hosts=tuple(host.lower() for host in _strings(entry, "hosts", where)),
            headers=tuple((key.lower(), _strings(headers, key, where)) for key in sorted(headers)),
            protocols=_strings(entry, "protocols", where) or ("http", "https"),
            strip_path=bool(entry.get("strip_path", True)),
            preserve_host=bool(entry.get("preserve_host", False)),
            regex_priority=_integer(entry, "regex_priority", 0, where),
            tags=_strings(entry, "tags", where),
        )
        if not (route.paths or route.methods or route.hosts or route.headers):
            raise ConfigError(f"{where}: must set one of methods, hosts, headers, paths")
        for path in route.paths:
            _check_path(path, where)
        self.routes.append(route)
        for plugin in _entries(entry, "plugins", where):
            self._plugin({**plugin, "route": route.id})

    def _consumer(self, entry: Yaml) -> None:
        username, custom_id = entry.get("username"), entry.get("custom_id")
        where = f"consumer {username or custom_id}"
        if not (username or custom_id):
            raise ConfigError("consumer: must set username or custom_id")
        consumer = Consumer(
            id=_id(entry, "consumer", str(username or custom_id)),
            username=str(username) if username is not None else None,
            custom_id=str(custom_id) if custom_id is not None else None,
            tags=_strings(entry, "tags", where),
        )
        self.consumers.append(consumer)
        for credential in _entries(entry, "keyauth_credentials", where):
            self._credential(credential, consumer)
        for plugin in _entries(entry, "plugins", where):
            self._plugin({**plugin, "consumer": consumer.id})

    def _credential(self, entry: Yaml, consumer: Consumer) -> None:
        key = entry.get("key")
        if not isinstance(key, str) or not key:
            raise ConfigError(f"keyauth_credentials of {consumer.username}: key must be a string")
        if any(known.key == key for known in self.credentials):
            raise ConfigError(f"keyauth_credentials of {consumer.username}: key is already taken")
        identity = _id(entry, "keyauth_credential", key)
        self.credentials.append(KeyCredential(id=identity, key=key, consumer=consumer))

    def _plugin(self, entry: Yaml) -> None:
        name = entry.get("name")
        if not isinstance(name, str) or not name:
            raise ConfigError("plugins: every plugin needs a name")
        config = entry.get("config")
        if not isinstance(config, dict | None):
            raise ConfigError(f"plugin {name}: config must be a mapping")
        route = entry.get("route")
        service = entry.get("service")
        consumer = entry.get("consumer")
        route_id = self._named(self.routes, route, "route").id if route else None
        service_id = self._named(self.services, service, "service").id if service else None
        consumer_id = self._named(self.consumers, consumer, "consumer").id if consumer else None
        self.plugins.append(
            PluginEntity(
                id=_id(entry, "plugin", f"{name}:{route_id}:{service_id}:{consumer_id}"),
                name=name,
                config=config or {},
                enabled=bool(entry.get("enabled", True)),
                instance_name=entry.get("instance_name"),
                route_id=route_id,
                service_id=service_id,
                consumer_id=consumer_id,
                tags=_strings(entry, "tags", f"plugin {name}"),
            )
        )

    def _named(self, entities: Iterable[Any], reference: object, kind: str) -> Any:  # noqa: ANN401
        wanted = reference
        if isinstance(reference, dict):
            wanted = reference.get("id") or reference.get("name") or reference.get("username")
        for entity in entities:
            label = entity.username if isinstance(entity, Consumer) else entity.name
            if wanted is not None and wanted in (entity.id, label):
                return entity
        raise ConfigError(f"kong.yaml: there is no {kind} {wanted!r}")

    def _check_plugins_are_unique(self) -> None:
        seen: set[tuple[str | None, ...]] = set()
        for plugin in self.plugins:
            scope = (plugin.name, plugin.route_id, plugin.service_id, plugin.consumer_id)
            if scope in seen:
                raise ConfigError(f"plugin {plugin.name}: configured twice for the same scope")
            seen.add(scope)


def _target(entry: Yaml, where: str) -> tuple[str, str, int, str | None]:
    url = entry.get("url")
    if url is None:
        protocol, host = entry.get("protocol", "http"), entry.get("host")
        port, path = entry.get("port"), entry.get("path")
    else:
        parts = urlsplit(str(url))
        protocol, host, port, path = parts.scheme, parts.hostname, parts.port, parts.path or None
    if protocol not in _DEFAULT_PORTS:
        raise ConfigError(f"{where}: protocol must be http or https")
    if not isinstance(host, str) or not host:
        raise ConfigError(f"{where}: needs a url or a host")
    # Kong's own default port for a service is 80, whatever its protocol, unless a url is given.
    port = port if port is not None else _DEFAULT_PORTS[protocol] if url is not None else 80
    if not isinstance(port, int):
        raise ConfigError(f"{where}: port must be an integer")
    if path is not None and not str(path).startswith("/"):
        raise ConfigError(f"{where}: path must start with /")
    return protocol, host, port, path


def _check_path(path: str, where: str) -> None:
    if not path.startswith(("/", "~")):
        raise ConfigError(f"{where}: path {path!r} should start with / (prefix) or ~ (regex)")
    if path.startswith("~"):
        try:
            re.compile(path[1:])
        except re.error as error:
            raise ConfigError(f"{where}: path {path!r} is no regex: {error}") from error


def _entries(parent: Yaml, key: str, where: str) -> list[Yaml]:
    entries = parent.get(key) or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError(f"{where}: {key} must be a list of mappings")
    return entries


def _strings(entry: Yaml, key: str, where: str) -> tuple[str, ...]:
    values = entry.get(key) or []
    if not isinstance(values, list):
        raise ConfigError(f"{where}: {key} must be a list")
    return tuple(str(value) for value in values)


def _integer(entry: Yaml, key: str, default: int, where: str) -> int:
    value = entry.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigError(f"{where}: {key} must be an integer")
    return value


def _id(entry: Yaml, kind: str, name: str) -> str:
    """The entity's own id, or one that is the same at every start."""
    return str(entry.get("id") or uuid.uuid5(_NAMESPACE, f"{kind}:{name}"))
