"""The kinds of entities that the Admin API keeps: their fields, defaults and references."""

from dataclasses import dataclass
from typing import Any

from devkong.entities import DEFAULT_RETRIES, DEFAULT_TIMEOUT_MS, Declaration


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of entities.

    Attributes:
        fields: Every field with what it is when nobody sets it.
        label: The field by which an entity can be named in an address, beside its id.
        references: Fields that name another entity, and of which kind.
        unique: The fields that two entities never share, all of them together.
    """

    name: str
    fields: dict[str, Any]
    label: str
    references: dict[str, str]
    unique: tuple[str, ...]


SERVICES = Kind(
    name="services",
    fields={
        "name": None,
        "protocol": "http",
        "host": None,
        "port": 80,
        "path": None,
        "retries": DEFAULT_RETRIES,
        "connect_timeout": DEFAULT_TIMEOUT_MS,
        "write_timeout": DEFAULT_TIMEOUT_MS,
        "read_timeout": DEFAULT_TIMEOUT_MS,
        "enabled": True,
        "tags": None,
    },
    label="name",
    references={},
    unique=("name",),
)
ROUTES = Kind(
    name="routes",
    fields={
        "name": None,
        "service": None,
        "paths": None,
        "methods": None,
        "hosts": None,
        "headers": None,
        "protocols": ["http", "https"],
        "strip_path": True,
        "preserve_host": False,
        "regex_priority": 0,
        "path_handling": "v0",
        "request_buffering": True,
        "response_buffering": True,
        "tags": None,
    },
    label="name",
    references={"service": "services"},
    unique=("name",),
)
CONSUMERS = Kind(
    name="consumers",
    fields={"username": None, "custom_id": None, "tags": None},
    label="username",
    references={},
    unique=("username",),
)
PLUGINS = Kind(
    name="plugins",
    fields={
        "name": None,
        "instance_name": None,
        "config": None,
        "enabled": True,
        "route": None,
        "service": None,
        "consumer": None,
        "protocols": ["grpc", "grpcs", "http", "https"],
        "tags": None,
    },
    label="instance_name",
    references={"route": "routes", "service": "services", "consumer": "consumers"},
    unique=("name", "route", "service", "consumer"),
)
KINDS = {kind.name: kind for kind in (SERVICES, ROUTES, CONSUMERS, PLUGINS)}
NOT_ENFORCED = {"path_handling", "request_buffering", "response_buffering", "protocols"}
"""Taken and shown, with no effect here."""

Entity = dict[str, Any]
Entities = dict[str, dict[str, Entity]]
"""Entities by kind and id."""


def entities_of(declaration: Declaration) -> Entities:
    """What a kong.yaml declares, as the Admin API keeps it."""
    kept: Entities = {name: {} for name in KINDS}
    records = [
        *(("services", each.as_record()) for each in declaration.services),
        *(("routes", each.as_record()) for each in declaration.routes),
        *(("consumers", each.as_record()) for each in declaration.consumers),
    ]
    for each in declaration.plugins:
        references = {
            "route": each.route_id,
            "service": each.service_id,
            "consumer": each.consumer_id,
        }
        record: Entity = {
            "id": each.id,
            "name": each.name,
            "instance_name": each.instance_name,
            "config": each.config,
            "enabled": each.enabled,
            "tags": list(each.tags) or None,
            **{name: {"id": found} if found else None for name, found in references.items()},
        }
        records.append(("plugins", record))
    for name, record in records:
        defaults = {**KINDS[name].fields, "created_at": 0, "updated_at": 0}
        kept[name][record["id"]] = {**defaults, **record}
    return kept


def document_of(kept: Entities) -> dict[str, Any]:
    """The same as a flat kong.yaml; what is not set is left out."""
    return {
        name: [
            {field: value for field, value in entity.items() if value is not None}
            for entity in kept[name].values()
        ]
        for name in KINDS
    }
