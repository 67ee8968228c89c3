"""Kong's entities: services, routes, consumers, credentials and plugin configurations."""

from dataclasses import dataclass, field
from typing import Any

DEFAULT_TIMEOUT_MS = 60_000
DEFAULT_RETRIES = 5


@dataclass(frozen=True, slots=True)
class Service:
    """An upstream."""

    id: str
    name: str | None
    protocol: str
    host: str
    port: int
    path: str | None = None
    retries: int = DEFAULT_RETRIES
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS
    write_timeout_ms: int = DEFAULT_TIMEOUT_MS
    read_timeout_ms: int = DEFAULT_TIMEOUT_MS
    enabled: bool = True
    tags: tuple[str, ...] = ()

    def as_record(self) -> dict[str, Any]:
        """The entity as the PDK and the log show it; unset fields are absent."""
        return _without_none(
            {
                "id": self.id,
                "name": self.name,
                "protocol": self.protocol,
                "host": self.host,
                "port": self.port,
                "path": self.path,
                "retries": self.retries,
                "connect_timeout": self.connect_timeout_ms,
                "write_timeout": self.write_timeout_ms,
                "read_timeout": self.read_timeout_ms,
                "enabled": self.enabled,
                "tags": list(self.tags) or None,
            }
        )


@dataclass(frozen=True, slots=True)
class Route:
    """What leads a request to a service; empty criteria match everything."""

    id: str
    name: str | None
    service: Service | None
    paths: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    headers: tuple[tuple[str, tuple[str, ...]], ...] = ()
    protocols: tuple[str, ...] = ("http", "https")
    strip_path: bool = True
    preserve_host: bool = False
    regex_priority: int = 0
    tags: tuple[str, ...] = ()

    def as_record(self) -> dict[str, Any]:
        """The entity as the PDK and the log show it; unset fields are absent."""
        return _without_none(
            {
                "id": self.id,
                "name": self.name,
                "service": {"id": self.service.id} if self.service else None,
                "paths": list(self.paths) or None,
                "methods": list(self.methods) or None,
                "hosts": list(self.hosts) or None,
                "headers": {name: list(values) for name, values in self.headers} or None,
                "protocols": list(self.protocols),
                "strip_path": self.strip_path,
                "preserve_host": self.preserve_host,
                "regex_priority": self.regex_priority,
                "path_handling": "v0",
                "request_buffering": True,
                "response_buffering": True,
                "tags": list(self.tags) or None,
            }
        )


@dataclass(frozen=True, slots=True)
class Consumer:
    """Whom one of Kong's own authentication plugins may recognise."""

    id: str
    username: str | None
    custom_id: str | None
    tags: tuple[str, ...] = ()

    def as_record(self) -> dict[str, Any]:
        """The entity as `kong.client.get_consumer` gives it."""
        return _without_none(
            {
                "id": self.id,
                "username": self.username,
                "custom_id": self.custom_id,
                "tags": list(self.tags) or None,
            }
        )


@dataclass(frozen=True, slots=True)
class KeyCredential:
    """A key of Kong's key-auth plugin."""

    id: str
    key: str = field(repr=False)
    consumer: Consumer

    def as_record(self) -> dict[str, Any]:
        """The entity as `kong.client.get_credential` gives it."""
        return {"id": self.id, "key": self.key, "consumer": {"id": self.consumer.id}}


@dataclass(frozen=True, slots=True)
class PluginEntity:
    """One configuration of a plugin, and what it is attached to; attached to nothing is global.

    Attributes:
        config: As written in kong.yaml: no defaults yet, references unresolved.
    """

    id: str
    name: str
    config: dict[str, Any] = field(repr=False)
    enabled: bool = True
    instance_name: str | None = None
    route_id: str | None = None
    service_id: str | None = None
    consumer_id: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Declaration:
    """All of a kong.yaml."""

    services: tuple[Service, ...] = ()
    routes: tuple[Route, ...] = ()
    consumers: tuple[Consumer, ...] = ()
    key_credentials: tuple[KeyCredential, ...] = ()
    plugins: tuple[PluginEntity, ...] = ()


def _without_none(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if value is not None}
