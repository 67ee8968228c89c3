"""What shall be in Kong: kong.yaml with an installation's own addresses, as single entities."""

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from policy_service.adapters.yaml_file import InvalidFile
from policy_service.cli.kong.kong_file import Route, Service, read_kong

TAG = "gatehouse"
"""On every entity of ours: by it they are found again."""

_NAMESPACE = uuid.UUID("3f1d2c52-6f0e-5a53-9d4e-7f6a1f4f0a11")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_NESTED = ("routes", "plugins")
_HOW = (
    "Name a file with our services only, their routes and plugins inside of them and each of them "
    "named, as the kong.yaml that ships has them."
)


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
    if choices.policy_url is not None:
        _check_address(choices.policy_url)
    document = _read(path)
    for service in document["services"]:
        _tag(service, choices)
        service["routes"] = _chosen(path, document, service.get("routes") or [], choices.routes)
        for route in service["routes"]:
            _tag(route, choices)
            if choices.hosts:
                route["hosts"] = list(choices.hosts)
        if choices.policy_url is not None:
            service["url"] = f"{choices.policy_url.rstrip('/')}/relay"
    for plugin in _plugins(document):
        _tag(plugin, choices)
        config = plugin["config"] = plugin.get("config") or {}
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
        url = own.pop("url", None)
        if url is not None:
            own |= _parts(url)
        yield Wanted("services", service["name"], None, own)
        yield from _attached(service, ("services", service["name"]))
        for route in service["routes"]:
            fields = {key: value for key, value in route.items() if key not in ("plugins", "tags")}
            yield Wanted("routes", route["name"], ("services", service["name"]), fields)
            yield from _attached(route, ("routes", route["name"]))


def _read(path: Path) -> dict[str, Any]:
    try:
        document, held = read_kong(path, _Ours)
    except InvalidFile as fault:
        raise Unusable(f"{fault}\n{_HOW}") from fault
    for kind, names in (
        ("service", [service.name for service in held.services]),
        ("route", [route.name for service in held.services for route in service.routes or ()]),
    ):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise Unusable(f"{path}: {kind} {', '.join(twice)} is there twice; rename one of them")
    return document


def _chosen(
    path: Path,
    document: Mapping[str, Any],
    routes: list[dict[str, Any]],
    wanted: Sequence[str],
) -> list[dict[str, Any]]:
    known = [route for service in document["services"] for route in service.get("routes") or ()]
    for one in wanted:
        if not any(_is_meant(path, route, one) for route in known):
            names = ", ".join(sorted(route["name"] for route in known))
            raise Unusable(f"No route is named or serves {one}. There are: {names}")
    return [r for r in routes if not wanted or any(_is_meant(path, r, one) for one in wanted)]


def _is_meant(file: Path, route: Mapping[str, Any], wanted: str) -> bool:
    if not wanted.startswith("/"):
        return bool(route["name"] == wanted)
    return any(
        _matches(file, route["name"], path[1:], wanted)
        if path.startswith("~")
        else wanted.startswith(path)
        for path in route.get("paths") or ()
    )


def _matches(file: Path, route: str, pattern: str, wanted: str) -> bool:
    """Kong's regular expressions know more than Python's do."""
    try:
        return re.match(pattern, wanted) is not None
    except (re.error, RecursionError, OverflowError) as fault:
        raise Unusable(
            f"{file}: route {route}: whether ~{pattern[:80]} takes {wanted} cannot be told "
            f"({fault}). Mend it, or choose routes by their names"
        ) from fault


def _plugins(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for service in document["services"]:
        for holder in (service, *service["routes"]):
            yield from holder.get("plugins") or ()


def _attached(holder: Mapping[str, Any], on: tuple[str, str]) -> Iterator[Wanted]:
    for plugin in holder.get("plugins") or ():
        fields = {key: value for key, value in plugin.items() if key != "tags"}
        yield Wanted("plugins", plugin["name"], on, fields)


def _tag(entity: dict[str, Any], choices: Choices) -> None:
    tags = entity.get("tags") or ()
    entity["tags"] = [choices.tag, *(tag for tag in tags if tag != choices.tag)]


def _parts(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    return {
        "protocol": parts.scheme,
        "host": parts.hostname,
        "port": parts.port or _DEFAULT_PORTS[parts.scheme],
        "path": parts.path or None,
    }


def _check_address(url: str) -> None:
    """As a chosen address; one in the file is told with its place."""
    try:
        _address(url)
    except ValueError as fault:
        raise Unusable(f"The policy service's address, {url}: {fault}") from fault


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in _DEFAULT_PORTS and parts.hostname and parts.port != 0
    except ValueError:  # a port of 99999, half an IPv6 address
        is_good = False
    if not is_good:
        raise ValueError("is no address; write http://host:port")
    return url


class _OurRoute(Route):
    name: Annotated[str, Field(min_length=1)]


class _OurService(Service):
    name: Annotated[str, Field(min_length=1)]
    url: Annotated[str, AfterValidator(_address)] | None = None
    routes: list[_OurRoute] | None = None  # type: ignore[assignment] # each is named


class _Ours(BaseModel):
    """A file with our services only; their routes and plugins are inside of them."""

    model_config = ConfigDict(extra="forbid")

    format_version: Any = Field(alias="_format_version")
    transform: Any = Field(default=None, alias="_transform")
    services: list[_OurService]
