"""HTTP headers as nginx holds them for Lua: case-insensitive, several values, order kept.

Values are text with `surrogateescape`, so that bytes that are no UTF-8 survive the way through.
"""

from collections.abc import Iterable, Iterator


class Headers:
    """Headers by lower-case name; a name keeps the spelling it first came with."""

    __slots__ = ("_items",)

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._items: dict[str, tuple[str, list[str]]] = {}
        for name, value in pairs:
            self.add(name, value)

    def add(self, name: str, value: str) -> None:
        """Append one more value."""
        entry = self._items.get(name.lower())
        if entry is None:
            self._items[name.lower()] = (name, [value])
        else:
            entry[1].append(value)

    def replace(self, name: str, values: list[str]) -> None:
        """Set a header to exactly these values; no values removes it."""
        if values:
            self._items[name.lower()] = (name, list(values))
        else:
            self.remove(name)

    def remove(self, name: str) -> None:
        """Remove a header; absent is fine."""
        self._items.pop(name.lower(), None)

    def first(self, name: str) -> str | None:
        """The first value; dashes may be written as underscores, as in Lua."""
        values = self.values_of(name)
        return values[0] if values else None

    def values_of(self, name: str) -> list[str]:
        """All values of a header, `[]` when absent."""
        lower = name.lower()
        entry = self._items.get(lower) or self._items.get(lower.replace("_", "-"))
        return entry[1] if entry else []

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Every (name as spelled, value), in order."""
        for name, values in self._items.values():
            for value in values:
                yield name, value

    def as_map(self, max_headers: int = 100) -> dict[str, list[str]]:
        """Lower-case name -> values, of the first `max_headers` header lines."""
        result: dict[str, list[str]] = {}
        left = max_headers
        for lower, (_, values) in self._items.items():
            if left <= 0:
                break
            result[lower] = values[:left]
            left -= len(values)
        return result

    def as_record(self) -> dict[str, str | list[str]]:
        """Lower-case name -> value, or values when there are several: what a log record holds."""
        return {
            lower: values[0] if len(values) == 1 else list(values)
            for lower, (_, values) in self._items.items()
        }

    def copy(self) -> "Headers":
        """An independent copy."""
        other = Headers()
        other._items = {k: (name, list(values)) for k, (name, values) in self._items.items()}
        return other

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._items


def header_values(value: object) -> list[str]:
    """A plugin's header value as Kong writes it; an empty string becomes one blank."""
    if isinstance(value, list):
        return [text(item) or " " for item in value]
    if isinstance(value, bool):
        return ["true" if value else "false"]
    return [text(value) or " "]


def text(value: object) -> str:
    """A Lua string (text or bytes on the wire), or a number, as text."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return value if isinstance(value, str) else str(value)


def header_block(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Header lines as they go over the wire; line breaks inside a value are blanked out."""
    lines = list(pairs)
    block = "".join([f"{name}: {value}\r\n" for name, value in lines])
    if block.count("\n") != len(lines) or block.count("\r") != len(lines):
        block = "".join([f"{_one_line(name)}: {_one_line(value)}\r\n" for name, value in lines])
    return block.encode("utf-8", "surrogateescape")


def _one_line(value: str) -> str:
    return value.replace("\r", " ").replace("\n", " ")
