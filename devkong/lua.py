"""MessagePack as Kong's Lua side reads and writes it.

Lua has one string type and one table type, and so forgets what Python knew: bytes come back as
text, `{}` comes back as `[]`, `None` inside a map vanishes, `1.0` comes back as `1`. Values that
travel through `kong.ctx.shared` show all of it, so devkong forgets the same things.
"""

from typing import Any

import msgpack  # type: ignore[import-untyped]  # msgpack ships no types

MAX_EXACT_INTEGER = 2**53
"""Lua numbers are doubles; larger integers lose digits."""

_MAX_MESSAGE_BYTES = 512 * 1024 * 1024
_BUFFER_BYTES = 16 * 1024
"""To begin with; the library's own 1 MiB is used up bit by bit, for each connection."""

# Lua strings go out as MessagePack's raw/str type even when they are no UTF-8; `bytes` go out as
# binary, which Kong does for raw bodies only.
_packer = msgpack.Packer(use_bin_type=True, unicode_errors="surrogateescape")


def pack(message: object) -> bytes:
    """One message, ready to send."""
    packed: bytes = _packer.pack(message)
    return packed


def new_unpacker() -> Any:  # noqa: ANN401 - msgpack ships no types
    """A streaming unpacker for what a plugin server sends."""
    return msgpack.Unpacker(
        raw=False,
        unicode_errors="surrogateescape",
        strict_map_key=False,
        read_size=_BUFFER_BYTES,
        max_buffer_size=_MAX_MESSAGE_BYTES,
    )


def lua_value(value: Any) -> Any:  # noqa: ANN401, PLR0911 - any value a plugin may hand over
    """What is left of a value once Lua has held it."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, int):
        return value if abs(value) <= MAX_EXACT_INTEGER else int(float(value))
    if isinstance(value, dict):
        return _table({k: lua_value(v) for k, v in value.items() if v is not None})
    if isinstance(value, list | tuple):
        return _table({i: lua_value(v) for i, v in enumerate(value, 1) if v is not None})
    return value


def _table(items: dict[Any, Any]) -> Any:  # noqa: ANN401
    """A Lua table as the packer writes it: an array when its keys are 1..n, also when empty."""
    if all(key in items for key in range(1, len(items) + 1)):
        return [items[key] for key in range(1, len(items) + 1)]
    return items
