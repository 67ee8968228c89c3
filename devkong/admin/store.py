"""The entities of a Kong with a database, or what a DB-less one has read, and their rules."""

import copy
import time
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from devkong import schema
from devkong.admin.kinds import KINDS, Entities, Entity, Kind, document_of, entities_of
from devkong.admin.refusals import (
    Refused,
    dangling,
    no_declaration,
    not_found,
    still_used,
    taken,
    violation,
    with_database,
    without_database,
)
from devkong.declarative import parse_declaration, read_entities
from devkong.entities import Declaration
from devkong.errors import ConfigError
from devkong.plugins import PluginSet
from devkong.vault import Unopened

_CASCADES = {"services": ("plugins",), "routes": ("plugins",), "consumers": ("plugins",)}
"""What goes with a deleted entity; routes keep their service from being deleted."""

_OWN = ("id", "created_at", "updated_at")


class Store:
    """Entities, each change checked as a whole before it holds.

    Args:
        declaration: What there is at the start.
        plugins: Says which plugins are enabled, and their fields.
        apply: Makes the gateway follow.
        is_writable: Without a database nothing can be changed.
    """

    def __init__(
        self,
        declaration: Declaration,
        plugins: PluginSet,
        apply: Callable[[Declaration], None],
        *,
        is_writable: bool,
    ) -> None:
        self._kept = entities_of(declaration)
        # Keys of Kong's own key-auth come from a file only; no address of ours shows them.
        self._credentials = declaration.key_credentials
        self._plugins = plugins
        self._apply = apply
        self.is_writable = is_writable

    def all(self, kind: Kind) -> list[Entity]:
        """Every entity of a kind, as the Admin API shows them."""
        return [self._shown(kind, entity) for entity in self._kept[kind.name].values()]

    def get(self, kind: Kind, key: str) -> Entity:
        """One entity, by id or name.

        Raises:
            Refused: There is none.
        """
        return self._shown(kind, self._find(kind, key))

    def put(self, kind: Kind, key: str | None, given: Entity) -> tuple[Entity, bool]:
        """Make an entity what is given, and nothing else.

        Args:
            kind: Of what kind.
            key: Id or name; `None` for a new one.
            given: Its fields.

        Returns:
            The entity, and whether it is new.

        Raises:
            Refused: It does not fit, or there is no database.
        """
        self._writable("create" if key is None else "create or update", kind)
        try:
            before = self._find(kind, key) if key is not None else None
        except Refused:
            before = None
        now = int(time.time())
        entity = {
            **copy.deepcopy(kind.fields),
            "id": given.get("id") or str(uuid.uuid4()),
            "created_at": now,
        }
        if before is not None:
            entity |= {name: before[name] for name in ("id", "created_at")}
        elif key is not None:
            entity["id" if _is_id(key) else kind.label] = key
        fields = self._fields(kind, given)
        if before is not None and kind.label not in fields:
            fields[kind.label] = before[kind.label]
        self._save(kind, {**entity, **fields, "updated_at": now})
        return self.get(kind, entity["id"]), before is None

    def patch(self, kind: Kind, key: str, given: Entity) -> Entity:
        """Change some fields; a plugin's configuration is merged record by record.

        Raises:
            Refused: There is none, it does not fit, or there is no database.
        """
        self._writable("update", kind)
        before = self._find(kind, key)
        fields = self._fields(kind, given)
        if kind.name == "plugins" and isinstance(fields.get("config"), dict):
            fields["config"] = {**(before["config"] or {}), **fields["config"]}
        self._save(kind, {**before, **fields, "updated_at": int(time.time())})
        return self.get(kind, before["id"])

    def delete(self, kind: Kind, key: str) -> None:
        """Take an entity away, and with it the plugins that hang on it; none is no fault.

        Raises:
            Refused: Another needs it, or there is no database.
        """
        self._writable("remove", kind)
        try:
            entity = self._find(kind, key)
        except Refused:
            return
        kept = {name: dict(entities) for name, entities in self._kept.items()}
        field = kind.name.removesuffix("s")
        if kind.name == "services" and any(
            (route["service"] or {}).get("id") == entity["id"] for route in kept["routes"].values()
        ):
            raise still_used(kind.name, "routes")
        for other in _CASCADES.get(kind.name, ()):
            kept[other] = {
                identity: each
                for identity, each in kept[other].items()
                if (each[field] or {}).get("id") != entity["id"]
            }
        del kept[kind.name][entity["id"]]
        self._take(kept)

    def load(self, content: str) -> None:
        """Take another declarative file in place of all that there is.

        Raises:
            Refused: It does not fit, and what there was stays; or there is a database.
        """
        if self.is_writable:
            raise with_database()
        try:
            declaration = parse_declaration(content)
            self._apply(declaration)
        except ConfigError as error:
            raise no_declaration(str(error)) from error
        self._kept = entities_of(declaration)
        self._credentials = declaration.key_credentials

    def _writable(self, verb: str, kind: Kind) -> None:
        if not self.is_writable:
            raise without_database(verb, kind.name)

    def _find(self, kind: Kind, key: str) -> Entity:
        entities = self._kept[kind.name]
        if key in entities:
            return entities[key]
        for entity in entities.values():
            if entity[kind.label] is not None and entity[kind.label] == key:
                return entity
        raise not_found()

    def _fields(self, kind: Kind, given: Entity) -> Entity:
        """What was given, with a service's `url` taken apart and references resolved."""
        fields = {name: value for name, value in given.items() if name not in _OWN}
        if kind.name == "services" and "url" in fields:
            fields |= _parts(fields.pop("url"))
        for name in fields:
            if name not in kind.fields:
                raise violation((name,), "unknown field")
        for name, other in kind.references.items():
            reference = fields.get(name)
            if reference is None:
                continue
            if not isinstance(reference, dict):
                raise violation((name,), "expected a record")
            label = reference.get("id") or reference.get(KINDS[other].label)
            try:
                fields[name] = {"id": self._find(KINDS[other], str(label))["id"]}
            except Refused as refused:
                raise dangling(other, reference) from refused
        return fields

    def _save(self, kind: Kind, entity: Entity) -> None:
        self._check(kind, entity)
        kept = {name: dict(entities) for name, entities in self._kept.items()}
        kept[kind.name][entity["id"]] = entity
        self._take(kept)

    def _check(self, kind: Kind, entity: Entity) -> None:
        if kind.name == "plugins":
            name = entity["name"]
            if not isinstance(name, str):
                raise violation(("name",), "required field missing")
            if name not in self._plugins.enabled:
                problem = (
                    f"plugin '{name}' not enabled; add it to the 'plugins' configuration property"
                )
                raise violation(("name",), problem)
        mine = {name: entity[name] for name in kind.unique}
        if kind.unique == (kind.label,) and entity[kind.label] is None:
            return
        for other in self._kept[kind.name].values():
            if other["id"] != entity["id"] and all(other[name] == mine[name] for name in mine):
                raise taken(mine)

    def _take(self, kept: Entities) -> None:
        try:
            declaration = read_entities(document_of(kept))
            credentials = tuple(
                each for each in self._credentials if each.consumer.id in kept["consumers"]
            )
            self._apply(
                Declaration(
                    services=declaration.services,
                    routes=declaration.routes,
                    consumers=declaration.consumers,
                    key_credentials=credentials,
                    plugins=declaration.plugins,
                )
            )
        except ConfigError as error:
            problem = str(error).rpartition(": ")[2] if error.field else str(error)
            raise violation(error.field, problem) from error
        self._kept = kept

    def _shown(self, kind: Kind, entity: Entity) -> Entity:
        if kind.name != "plugins":
            return copy.deepcopy(entity)
        _, fields = self._plugins.described(entity["name"])
        checked = schema.check(entity["name"], fields, entity["config"] or {}, Unopened())
        unset = {name: None for described in fields for name in described}
        return {**copy.deepcopy(entity), "config": {**unset, **checked.config}}


def _parts(url: Any) -> Entity:  # noqa: ANN401 - what the client sent
    try:
        parts = urlsplit(str(url))
        port = parts.port
    except ValueError:
        raise violation(("url",), "invalid url") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise violation(("url",), "invalid url")
    return {
        "protocol": parts.scheme,
        "host": parts.hostname,
        "port": port or {"http": 80, "https": 443}[parts.scheme],
        "path": parts.path or None,
    }


def _is_id(key: str) -> bool:
    try:
        uuid.UUID(key)
    except ValueError:
        return False
    return True
