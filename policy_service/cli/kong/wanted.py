"""What shall be in Kong: kong.yaml with an installation's own addresses, as single entities."""

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

TAG = "gatehouse"
"""On every entity of ours: by it they are found again."""

_NAMESPACE = uuid.UUID("3f1d2c52-6f0e-5a53-9d4e-7f6a1f4f0a11")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_NESTED = ("routes", "plugins")


class Unusable(Exception):
    """The file or an option cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What an installation chooses, beside what the file says.

    Attributes:
        policy_url: Base URL of the policy service as Kong reaches it; `None` leaves the file's.
        policy_secret: Best a vault reference; `None` leaves the file's.
        routes: Names or paths; empty for all routes of the file.
        hosts: The hosts that our routes answer for; empty for every host.
        tag: What marks our entities.
    """

    policy_url: str | None = None
    policy_secret: str | None = field(default=None, repr=False)
    routes: Sequence[str] = ()
    hosts: Sequence[str] = ()
    tag: str = TAG


@dataclass(frozen=True, slots=True)
class Wanted:
    """One entity that shall be there.

    Attributes:
        kind: `services`, `routes` or `plugins`.
        on: Where it hangs: kind and name; `None` for a service.
        fields: As the Admin API takes them, without tags and references.
    """

    kind: str
    name: str
    on: tuple[str, str] | None
    fields: Mapping[str, Any] = field(repr=False)

    @property
    def label(self) -> str:
        """How people are told of it."""
        thing = f"{self.kind.removesuffix('s')} {self.name}"
        if self.kind == "plugins" and self.on is not None:
            thing += f" on {self.on[0].removesuffix('s')} {self.on[1]}"
        return thing

    def new_id(self, tag: str) -> str:
        """Its id where it is new: the same each time, so that a second request adds no second."""
        return str(uuid.uuid5(_NAMESPACE, f"{tag}/{self.kind}/{self.on}/{self.name}"))


def declared(path: Path, choices: Choices) -> dict[str, Any]:
    """The file as it stands for this installation, every entity tagged.

    Raises:
        Unusable: It is no declarative configuration, or no route is as chosen.
    """
    document = _read(path)
    for service in document["services"]:
        _tag(service, choices)
        service["routes"] = _chosen(document, service.get("routes", []), choices.routes)
        for route in service["routes"]:
            _tag(route, choices)
            if choices.hosts:
                route["hosts"] = list(choices.hosts)
        if choices.policy_url is not None:
            service["url"] = f"{choices.policy_url.rstrip('/')}/relay"
    for plugin in _plugins(document):
        _tag(plugin, choices)
        config = plugin.setdefault("config", {})
        if choices.policy_url is not None and "policy_url" in config:
            config["policy_url"] = choices.policy_url.rstrip("/")
        if choices.policy_secret is not None and "policy_secret" in config:
            config["policy_secret"] = choices.policy_secret
    document["services"] = [one for one in document["services"] if one["routes"]]
    return document


def entities(document: Mapping[str, Any]) -> Iterator[Wanted]:
    """A declared document's entities, each behind the one it hangs on."""
    for service in document["services"]:
        own = {key: value for key, value in service.items() if key not in (*_NESTED, "tags")}
        if "url" in own:
            own |= _parts(own.pop("url"))
        yield Wanted("services", service["name"], None, own)
        yield from _attached(service, ("services", service["name"]))
        for route in service["routes"]:
            fields = {key: value for key, value in route.items() if key not in ("plugins", "tags")}
            yield Wanted("routes", route["name"], ("services", service["name"]), fields)
            yield from _attached(route, ("routes", route["name"]))


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as fault:
        raise Unusable(f"{path} cannot be read: {fault}") from fault
    if not isinstance(document, dict) or not isinstance(document.get("services"), list):
        raise Unusable(f"{path} is no declarative configuration: it has no `services`")
    others = sorted(set(document) - {"_format_version", "_transform", "services"})
    if others:
        raise Unusable(
            f"{path} holds {', '.join(others)}: name a file with our services only, their routes "
            "and plugins inside them, as the kong.yaml that ships has them"
        )
    for service in document["services"]:
        named = [service, *service.get("routes", [])]
        if not all(isinstance(one.get("name"), str) for one in named):
            raise Unusable(f"{path}: every service and every route needs a name")
    return document


def _chosen(
    document: Mapping[str, Any], routes: list[dict[str, Any]], wanted: Sequence[str]
) -> list[dict[str, Any]]:
    known = [route for service in document["services"] for route in service.get("routes", [])]
    for one in wanted:
        if not any(_is_meant(route, one) for route in known):
            names = ", ".join(sorted(route["name"] for route in known))
            raise Unusable(f"No route is named or serves {one}. There are: {names}")
    return [route for route in routes if not wanted or any(_is_meant(route, o) for o in wanted)]


def _is_meant(route: Mapping[str, Any], wanted: str) -> bool:
    if not wanted.startswith("/"):
        return bool(route["name"] == wanted)
    return any(
        re.match(path[1:], wanted) if path.startswith("~") else wanted.startswith(path)
        for path in route.get("paths", ())
    )


def _plugins(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for service in document["services"]:
        for holder in (service, *service["routes"]):
            yield from holder.get("plugins", ())


def _attached(holder: Mapping[str, Any], on: tuple[str, str]) -> Iterator[Wanted]:
    for plugin in holder.get("plugins", ()):
        fields = {key: value for key, value in plugin.items() if key != "tags"}
        yield Wanted("plugins", plugin["name"], on, fields)


def _tag(entity: dict[str, Any], choices: Choices) -> None:
    entity["tags"] = [choices.tag, *(tag for tag in entity.get("tags", ()) if tag != choices.tag)]


def _parts(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise Unusable(f"{url} is no address: write http://host:port")
    return {
        "protocol": parts.scheme,
        "host": parts.hostname,
        "port": parts.port or _DEFAULT_PORTS[parts.scheme],
        "path": parts.path or None,
    }
