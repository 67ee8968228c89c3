"""Reads a YAML file into a pydantic model, with errors that a person can act on.

Numbers with a fraction arrive as `Decimal`, never as a float, so that a price of 0.15 is 0.15. A
key that is written twice is an error, not the last one's win. Only `true` and `false` are truth
values.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

_Document = TypeVar("_Document", bound=BaseModel)
_SENTENCES = {
    "extra_forbidden": "there is no such field here",
    "model_type": "has to be a mapping of fields",
}
"""In place of pydantic's own, which are for those who know its classes."""


class InvalidFile(ValueError):
    """A file of ours is missing, is no YAML, or says something that it may not.

    The message has a line for each fault: file, line, field, and what is wrong with it.
    """


def read_yaml(path: Path, shape: type[_Document]) -> _Document:
    """Read `path` and hold it to `shape`.

    Raises:
        InvalidFile: With every fault, each as `file:line: field: what is wrong`.
    """
    root, content = loaded(path, _Loader)
    return held_to(path, root, content, shape)


def loaded(path: Path, loader: type["PlacedLoader"]) -> tuple[yaml.Node | None, Any]:
    """What a file says, and where it says it.

    Raises:
        InvalidFile: It cannot be read, or is no YAML; with file and line.
    """
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=loader)
        return root, yaml.load(text, Loader=loader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise InvalidFile(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidFile(f"{path}: is not UTF-8 text") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InvalidFile(f"{path}:{line}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise InvalidFile(f"{path}: is not YAML: {error}") from error
    except RecursionError as error:
        raise InvalidFile(f"{path}: is nested too deeply") from error


def held_to(
    path: Path, root: yaml.Node | None, content: object, shape: type[_Document]
) -> _Document:
    """The content as a `shape`.

    Raises:
        InvalidFile: As `read_yaml`.
    """
    try:
        return shape.model_validate(content)
    except ValidationError as error:
        faults = sorted(
            (line_of(root, place), field_of(place), told) for place, told in faults_in(error)
        )
        raise InvalidFile(
            "\n".join(f"{path}:{line}: {field}: {told}" for line, field, told in faults)
        ) from error


def faults_in(error: ValidationError) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """Each fault's place and sentence.

    A list whose members are at fault counts as too short, which nobody who reads it would see.
    """
    faults = error.errors(include_url=False, include_input=False)
    places = [fault["loc"] for fault in faults]
    for fault in faults:
        place = fault["loc"]
        is_echo = fault["type"] == "too_short" and any(
            len(other) > len(place) and other[: len(place)] == place for other in places
        )
        if not is_echo:
            yield place, _SENTENCES.get(fault["type"]) or fault["msg"].removeprefix("Value error, ")


class PlacedLoader(yaml.SafeLoader):
    """A SafeLoader that refuses a key given twice, and tells of every fault where it is."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: ANN401
        """Where PyYAML stumbles over a value (the day `2026-13-45`), say on which line."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, TypeError, ArithmeticError) as fault:
            kind = node.tag.rpartition(":")[2]
            raise yaml.constructor.ConstructorError(
                None, None, f"has the form of a {kind}, and is none", node.start_mark
            ) from fault

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:  # noqa: ANN401 - PyYAML's
        """Before what `<<` merges stands beside a mapping's own keys."""
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{name!r} is given twice", key.start_mark
                )
            seen.add(name)
        return node


class _Loader(PlacedLoader):
    """One that keeps decimals exact, and reads truth values as YAML 1.2 does."""


def _construct_decimal(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Decimal:
    text = loader.construct_scalar(node).replace("_", "").lower().replace(".inf", "inf")
    return Decimal(text.replace(".nan", "nan"))


_Loader.add_constructor("tag:yaml.org,2002:float", _construct_decimal)
# YAML 1.2's: in 1.1 a field named `on` and a region `no` are truth values
# (https://yaml.org/spec/1.2.2/#1032-tag-resolution, checked 2026-11-21).
_BOOL = "tag:yaml.org,2002:bool"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOL]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    _BOOL, re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def line_of(root: yaml.Node | None, location: tuple[int | str, ...]) -> int:
    """The line of the innermost part of `location` that the file has, counted from 1."""
    node = root
    line = 1 if root is None else root.start_mark.line + 1
    for step in location:
        child: yaml.Node | None = None
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            child = node.value[step] if step < len(node.value) else None
            line = child.start_mark.line + 1 if child else line
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(step):
                    child, line = value, key.start_mark.line + 1
        if child is None:
            break
        node = child
    return line


def field_of(location: tuple[int | str, ...]) -> str:
    """A location as people write it, `models[0].deployments[1].base_url`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return text.removeprefix(".") or "the file"
