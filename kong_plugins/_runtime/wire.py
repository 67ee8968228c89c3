"""Messages of the protocol `MsgPack:1` to bytes and back.

A request is `[0, id, method, args]`, an answer `[1, id, error, result]`, a notification
`[2, label, args]`. Lua knows one kind of string and packs it as MessagePack's `str` whatever bytes
it holds; only raw bodies arrive as `bin`. So `str` is decoded with `surrogateescape`: every string
can be read, and gives back the same bytes when it is sent again. On the way out both `str` and
`bytes` become a Lua string.

Source:
    https://github.com/Kong/kong/blob/3.9.1/kong/runloop/plugin_servers/rpc/mp_rpc.lua
    (checked 2026-11-20)
"""

from collections.abc import Mapping
from typing import Any

import msgpack  # type: ignore[import-untyped]

MAX_MESSAGE_BYTES = 256 * 1024 * 1024
"""Far above any body Kong lets through; a length beyond it is garbage."""

MAX_MEMBERS = 20_000
"""Of a list or a map; Kong sends some hundred headers at most.

A list takes its room when it is announced, and a thousand can be announced inside each other.
"""

_READ_BYTES = 64 * 1024
_KEPT_BUFFER_BYTES = 512 * 1024
"""A buffer that a large message has blown up beyond this is given back to the system."""

Request = tuple[int, str, list[Any]]
"""Message id, method, arguments."""


class GarbledMessage(ValueError):
    """The bytes are not a request of this protocol; nothing after them can be trusted."""


class RequestReader:
    """Bytes in, requests out; cut anywhere."""

    __slots__ = ("_fed_bytes", "_unpacker")

    def __init__(self) -> None:
        self._fed_bytes = 0
        self._unpacker = _unpacker()

    def feed(self, received: bytes) -> list[Request]:
        """Give the requests that `received` completes.

        Raises:
            GarbledMessage: See there.
        """
        self._fed_bytes += len(received)
        try:
            self._unpacker.feed(received)
            requests = [_request(message) for message in self._unpacker]
        except GarbledMessage:
            raise
        except (msgpack.UnpackException, ValueError, TypeError, OverflowError) as error:
            raise GarbledMessage(type(error).__name__) from None
        if self._fed_bytes > _KEPT_BUFFER_BYTES and self._unpacker.tell() == self._fed_bytes:
            self._fed_bytes = 0
            self._unpacker = _unpacker()
        return requests


class Packer:
    """Packs messages into one buffer that is used again; for one thread."""

    __slots__ = ("_packer",)

    def __init__(self) -> None:
        self._packer = _packer()

    def pack(self, message: list[Any]) -> bytes:
        """Give the message's bytes.

        Raises:
            TypeError: The message holds something that MessagePack has no form for.
        """
        packed: bytes = self._packer.pack(message)
        if len(packed) > _KEPT_BUFFER_BYTES:
            self._packer = _packer()
        return packed


def _unpacker() -> msgpack.Unpacker:
    return msgpack.Unpacker(
        read_size=_READ_BYTES,  # what it takes at once for itself; the default is a megabyte
        raw=False,
        unicode_errors="surrogateescape",
        strict_map_key=False,  # a Lua table may have numbers for keys
        max_buffer_size=MAX_MESSAGE_BYTES,
        max_array_len=MAX_MEMBERS,
        max_map_len=MAX_MEMBERS,
    )


def _packer() -> msgpack.Packer:
    return msgpack.Packer(unicode_errors="surrogateescape", default=_plain)


def _plain(value: object) -> object:
    """Give MessagePack a form for what it has none for."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a PDK call cannot carry a {type(value).__name__}")


def _request(message: object) -> Request:
    match message:
        case [0, int() as message_id, str() as method, list() as args]:
            return message_id, method, args
        case _:
            raise GarbledMessage("not a request")
