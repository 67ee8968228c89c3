"""kong.yaml as people write it: Kong's declarative configuration, faults told with their place."""

from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool

from policy_service.adapters.yaml_file import InvalidFile, PlacedLoader, held_to, loaded

_File = TypeVar("_File", bound=BaseModel)
_Name = Annotated[str, Field(min_length=1)]
_TAG = "tag:yaml.org,2002:"
_KEYS = {f"{_TAG}{kind}" for kind in ("str", "int", "merge")}
_VALUES = {f"{_TAG}{kind}" for kind in ("map", "seq", "str", "int", "float", "bool", "null")}


class Entity(BaseModel):
    """What Kong keeps; fields that we do not look at are Kong's to judge."""

    model_config = ConfigDict(extra="allow")

    tags: list[str] | None = None


class Plugin(Entity):
    """One plugin, wherever it hangs."""

    name: _Name
    enabled: StrictBool | None = None
    config: Annotated[
        dict[Any, Any], BeforeValidator(lambda given: {} if given is None else given)
    ] = Field(default_factory=dict)


class Holder(Entity):
    """What plugins hang on."""

    plugins: list[Plugin] | None = None


class Route(Holder):
    """A route; its paths are prefixes, or regular expressions behind a `~`."""

    paths: list[str] | None = None
    hosts: list[str] | None = None


class Service(Holder):
    """A service and its routes."""

    routes: list[Route] | None = None


class KongFile(Holder):
    """A whole file, nested or flat."""

    format_version: Any = Field(alias="_format_version")
    services: list[Service] | None = None
    routes: list[Route] | None = None
    consumers: list[Holder] | None = None
    consumer_groups: list[Holder] | None = None

    def every_plugin(self) -> list[Plugin]:
        """The plugins, wherever they hang."""
        services = self.services or []
        routes = [*(self.routes or []), *(one for each in services for one in each.routes or [])]
        holders: list[Holder] = [self, *services, *routes]
        holders += [*(self.consumers or []), *(self.consumer_groups or [])]
        return [plugin for holder in holders for plugin in holder.plugins or []]


def read_kong(path: Path, shape: type[_File]) -> tuple[dict[str, Any], _File]:
    """What the file says, as it stands and as a `shape` that it is held to.

    Raises:
        InvalidFile: With every fault, each as `file:line: field: what is wrong`.
    """
    root, content = loaded(path, _KongLoader)
    if root is not None:
        _refuse_what_kong_cannot_hold(path, root, set(), set())
    return content, held_to(path, root, content, shape)


class _KongLoader(PlacedLoader):
    """As Kong reads it: what looks like a date is text."""


_KongLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != f"{_TAG}timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _refuse_what_kong_cannot_hold(
    path: Path, node: yaml.Node, within: set[int], done: set[int]
) -> None:
    """Refuse what JSON has no form for: loops, sets, bytes, half characters, endless numbers."""
    if id(node) in done:
        return
    place = f"{path}:{node.start_mark.line + 1}"
    if id(node) in within:
        raise InvalidFile(f"{place}: an alias stands inside of what it stands for; write it out")
    if node.tag not in _VALUES:
        raise InvalidFile(
            f"{place}: Kong's configuration has no {node.tag.removeprefix(_TAG)}; write text, a "
            "number, true or false, a list or a mapping"
        )
    within.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        _refuse_scalar(place, node)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.tag not in _KEYS:
                kind = key.tag.removeprefix(_TAG)
                raise InvalidFile(
                    f"{path}:{key.start_mark.line + 1}: a field's name is text, and this is a "
                    f"{kind}; put it in quotes"
                )
            _refuse_scalar(place, key)
            _refuse_what_kong_cannot_hold(path, value, within, done)
    else:
        for value in node.value:
            _refuse_what_kong_cannot_hold(path, value, within, done)
    within.discard(id(node))
    done.add(id(node))  # an alias used a thousand times is looked at once


def _refuse_scalar(place: str, node: yaml.ScalarNode) -> None:
    if node.tag == f"{_TAG}float" and node.value.lower().endswith((".inf", ".nan")):
        raise InvalidFile(f"{place}: {node.value} is no number that Kong can hold")
    if any("\ud800" <= character <= "\udfff" for character in node.value):
        raise InvalidFile(f"{place}: half of a character (a lone surrogate); write all of it")
