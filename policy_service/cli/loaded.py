"""Commands that are imported when somebody asks for them, so that none waits for all the others."""

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

_PACKAGE = "policy_service.cli"


class Commands(MutableMapping[str, Any]):
    """Commands by name, each loaded when it is looked up.

    Args:
        places: `module:attribute` within this package, of a function or of a `typer.Typer`.
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = dict(places)
        self._loaded: dict[str, TyperCommand | TyperGroup] = {}

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - Typer's own click has no public name
        if name not in self._loaded:
            module, _, attribute = self._places[name].partition(":")
            found = getattr(import_module(f"{_PACKAGE}.{module}"), attribute)
            self._loaded[name] = _command(name, found)
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:  # noqa: ANN401 - likewise
        self._places.setdefault(name, "")
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._places[name]
        self._loaded.pop(name, None)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _command(name: str, found: Any) -> TyperCommand | TyperGroup:  # noqa: ANN401 - one of two
    if isinstance(found, typer.Typer):
        group = get_group(found)
        group.name = name
        return group
    alone = typer.Typer(add_completion=False)
    alone.command(name)(found)
    command: TyperCommand = get_command(alone)  # type: ignore[assignment] # of one command
    return command
