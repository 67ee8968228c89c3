"""A plugin's schema, as `--dump` prints it: defaults, types and constraints of its fields.

Covers what Kong's schema language has for plugin configurations: the scalar types, `array`, `set`,
`map` and `record`, and the constraints `required`, `one_of`, `gt`, `between`, `len_min` and
`len_max`. Lua patterns (`match`) and entity checks are Kong's alone.
"""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from devkong.errors import ConfigError
from devkong.vault import Vault, is_reference

Field = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Checked:
    """A configuration with its defaults, its secrets in place, and where they came from.

    Attributes:
        config: What the plugin will get; never log it.
        references: Kong's `$refs`: the references by field, nested like the fields.
    """

    config: dict[str, Any]
    references: dict[str, Any]


def check(plugin: str, fields: list[Field], config: dict[str, Any], vault: Vault) -> Checked:
    """Check a configuration and complete it.

    Args:
        plugin: Name for messages.
        fields: Kong's list of one-entry maps, name -> description.
        config: As written in kong.yaml.
        vault: Resolves references in fields that are `referenceable`.

    Raises:
        ConfigError: The message names the plugin and the field.
    """
    checker = _Checker(plugin, vault)
    value, references = checker.record(fields, config, ())
    return Checked(config=value, references=references)


class _Checker:
    """Walks a configuration along its schema."""

    def __init__(self, plugin: str, vault: Vault) -> None:
        self._plugin = plugin
        self._vault = vault

    def record(
        self, fields: list[Field], given: dict[str, Any], path: tuple[str, ...]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        if not isinstance(given, dict):
            raise self._error(path, "expected a record")
        described = dict(_described(fields))
        for name in given:
            if name not in described:
                raise self._error((*path, str(name)), "unknown field")
        result: dict[str, Any] = {}
        references: dict[str, Any] = {}
        for name, field in described.items():
            value, reference = self._field(field, given.get(name), (*path, name))
            if value is not None:
                result[name] = value
            if reference:
                references[name] = reference
        return result, references

    def _field(self, field: Field, given: Any, path: tuple[str, ...]) -> tuple[Any, Any]:  # noqa: ANN401
        value = copy.deepcopy(field.get("default")) if given is None else given
        if value is None and field.get("type") == "record" and field.get("required"):
            value = {}
        if value is None:
            if field.get("required"):
                raise self._error(path, "required field missing")
            return None, None
        if field.get("referenceable") and is_reference(value):
            return self._vault.resolve(value), value
        return self._typed(field, value, path)

    def _typed(self, field: Field, value: Any, path: tuple[str, ...]) -> tuple[Any, Any]:  # noqa: ANN401
        kind = str(field.get("type", "string"))
        if kind == "record":
            return self.record(field.get("fields", []), value, path)
        if kind in ("array", "set"):
            return self._list(field, value, path)
        if kind == "map":
            return self._map(field, value, path)
        is_of_type = _SCALARS.get(kind)
        if is_of_type is not None and not is_of_type(value):
            raise self._error(path, f"expected {_WORDS.get(kind, kind)}")
        self._constrained(field, value, path)
        return value, None

    def _list(self, field: Field, value: Any, path: tuple[str, ...]) -> tuple[Any, Any]:  # noqa: ANN401
        if not isinstance(value, list):
            raise self._error(path, f"expected {_WORDS[field['type']]}")
        elements = field.get("elements", {"type": "any"})
        checked = [self._field(elements, item, (*path, str(i))) for i, item in enumerate(value, 1)]
        self._constrained(field, value, path)
        references = {str(i): ref for i, (_, ref) in enumerate(checked, 1) if ref}
        return [item for item, _ in checked], references

    def _map(self, field: Field, value: Any, path: tuple[str, ...]) -> tuple[Any, Any]:  # noqa: ANN401
        if not isinstance(value, dict):
            raise self._error(path, "expected a map")
        keys, values = field.get("keys", {"type": "string"}), field.get("values", {"type": "any"})
        # Some schemas mark the map itself as referenceable and mean its values, as Kong does.
        if field.get("referenceable"):
            values = {**values, "referenceable": True}
        result: dict[str, Any] = {}
        references: dict[str, Any] = {}
        for key, item in value.items():
            self._typed(keys, key, (*path, str(key)))
            result[key], reference = self._field(values, item, (*path, str(key)))
            if reference:
                references[key] = reference
        self._constrained(field, value, path)
        return result, references

    def _constrained(self, field: Field, value: Any, path: tuple[str, ...]) -> None:  # noqa: ANN401
        if "one_of" in field and value not in field["one_of"]:
            choices = ", ".join(str(choice) for choice in field["one_of"])
            raise self._error(path, f"expected one of: {choices}")
        if "gt" in field and not value > field["gt"]:
            raise self._error(path, f"value must be greater than {field['gt']}")
        if "between" in field:
            low, high = field["between"]
            if not low <= value <= high:
                raise self._error(path, f"value should be between {low} and {high}")
        if "len_min" in field and len(value) < field["len_min"]:
            raise self._error(path, f"length must be at least {field['len_min']}")
        if "len_max" in field and len(value) > field["len_max"]:
            raise self._error(path, f"length must be at most {field['len_max']}")
        if field.get("type") == "string" and not value and field.get("len_min", 1) > 0:
            raise self._error(path, "length must be at least 1")

    def _error(self, path: tuple[str, ...], message: str) -> ConfigError:
        place = ("config", *path)
        return ConfigError(f"plugin {self._plugin}: {'.'.join(place)}: {message}", place)


def _described(fields: list[Field]) -> Iterator[tuple[str, Field]]:
    for entry in fields:
        for name, field in entry.items():
            yield name, field if isinstance(field, dict) else {}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_SCALARS: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": _is_number,
    "integer": lambda value: _is_number(value) and math.isfinite(value) and value == int(value),
    "boolean": lambda value: isinstance(value, bool),
}
_WORDS = {
    "string": "a string",
    "number": "a number",
    "integer": "an integer",
    "boolean": "a boolean",
    "array": "an array",
    "set": "a set",
}
