"""`application/vnd.amazon.eventstream`: bytes in, messages out, and back.

A message is a prelude (its whole length and its headers' length, four bytes each, and the CRC-32 of
these eight), headers, a payload, and the CRC-32 of everything before it; all numbers big-endian. A
header is its name (one byte of length before it), a byte for its type, and its value.

Source:
    https://docs.aws.amazon.com/lexv2/latest/dg/event-stream-encoding.html
    https://smithy.io/2.0/aws/amazon-eventstream.html
    Shape from the SDK's types (botocore 1.44.5); the pages were seen in excerpts, 2026-11-20.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from zlib import crc32

from llm_core.errors import ProviderUnavailable
from llm_core.sse import MAX_PENDING_BYTES

CONTENT_TYPE = "application/vnd.amazon.eventstream"

HeaderValue = bool | int | bytes | str
"""Times are milliseconds since 1970; UUIDs are 16 bytes."""

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_LENGTH = struct.Struct(">H")
_MIN_BYTES = _PRELUDE.size + _CRC.size

_TRUE, _FALSE, _BYTES, _STRING, _UUID = 0, 1, 6, 7, 9
_NUMBERS = {
    2: struct.Struct(">b"),
    3: struct.Struct(">h"),
    4: struct.Struct(">i"),
    5: struct.Struct(">q"),
    8: struct.Struct(">q"),
}
_UUID_BYTES = 16


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Args:
        headers: By name, as sent: `:message-type`, `:event-type`, `:content-type`.
        payload: Not decoded.
    """

    headers: Mapping[str, HeaderValue]
    payload: bytes

    def text(self, name: str) -> str:
        """A header that is text; empty when it is missing or something else."""
        value = self.headers.get(name)
        return value if isinstance(value, str) else ""


class EventStreamDecoder:
    """Turns bytes, cut anywhere, into whole messages, in time linear in the bytes.

    A stream that breaks the format gives the messages before the break, then `fault` is set: so any
    cut of the same bytes gives the same messages.
    """

    def __init__(self, *, max_message_bytes: int = MAX_PENDING_BYTES) -> None:
        """Start with nothing read.

        Args:
            max_message_bytes: Longest message to wait for.
        """
        self._max_message_bytes = max_message_bytes
        self._pending = bytearray()
        self._wanted_bytes = _PRELUDE.size
        self._has_prelude = False
        self.fault: ProviderUnavailable | None = None

    def feed(self, received: bytes) -> list[Message]:
        """Give the messages that `received` completes; keep the rest for the next call."""
        messages: list[Message] = []
        if self.fault is not None:
            return messages
        self._pending += received
        start = 0
        try:
            while len(self._pending) - start >= self._wanted_bytes:
                if not self._has_prelude:
                    self._read_prelude(start)
                    continue
                end = start + self._wanted_bytes
                messages.append(_message(bytes(self._pending[start:end])))
                start = end
                self._has_prelude = False
                self._wanted_bytes = _PRELUDE.size
        except (ValueError, struct.error, IndexError):
            self.fault = ProviderUnavailable(
                "Amazon Bedrock sent something that is no message of its event stream."
            )
            start = len(self._pending)
        del self._pending[:start]
        return messages

    @property
    def has_pending(self) -> bool:
        """Whether a message has begun and not ended."""
        return bool(self._pending)

    def _read_prelude(self, start: int) -> None:
        """Believe the lengths only if their checksum is right: one wrong bit asks for gigabytes."""
        total, headers, checksum = _PRELUDE.unpack_from(self._pending, start)
        if crc32(self._pending[start : start + 8]) != checksum:
            raise ValueError
        if not _MIN_BYTES + headers <= total <= self._max_message_bytes:
            raise ValueError
        self._has_prelude = True
        self._wanted_bytes = total


def _message(raw: bytes) -> Message:
    _, headers_bytes, _ = _PRELUDE.unpack_from(raw)
    end = len(raw) - _CRC.size
    if crc32(raw[:end]) != _CRC.unpack_from(raw, end)[0]:
        raise ValueError
    payload_start = _PRELUDE.size + headers_bytes
    return Message(
        headers=_headers(raw[_PRELUDE.size : payload_start]), payload=raw[payload_start:end]
    )


def _headers(raw: bytes) -> dict[str, HeaderValue]:
    headers: dict[str, HeaderValue] = {}
    place = 0
    while place < len(raw):
        name_end = place + 1 + raw[place]
        name = raw[place + 1 : name_end].decode()
        value, place = _value(raw, raw[name_end], name_end + 1)
        if name in headers or place > len(raw):
            raise ValueError
        headers[name] = value
    return headers


def _value(raw: bytes, kind: int, place: int) -> tuple[HeaderValue, int]:
    """A header's value and where it ends."""
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, place
    if kind in _NUMBERS:
        number = _NUMBERS[kind]
        return int(number.unpack_from(raw, place)[0]), place + number.size
    if kind == _UUID:
        return raw[place : place + _UUID_BYTES], place + _UUID_BYTES
    if kind not in (_BYTES, _STRING):
        raise ValueError
    start = place + _LENGTH.size
    end = start + int(_LENGTH.unpack_from(raw, place)[0])
    found = raw[start:end]
    return (found if kind == _BYTES else found.decode()), end


def encode_message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """Frame a message whose headers are all text, as Bedrock's are.

    Args:
        headers: Names of at most 255 bytes, values of at most 65,535.
        payload: Any bytes.
    """
    encoded = b"".join(_encoded(name.encode(), value.encode()) for name, value in headers.items())
    total = _MIN_BYTES + len(encoded) + len(payload)
    lengths = struct.pack(">II", total, len(encoded))
    message = lengths + _CRC.pack(crc32(lengths)) + encoded + payload
    return message + _CRC.pack(crc32(message))


def _encoded(name: bytes, value: bytes) -> bytes:
    return bytes([len(name)]) + name + bytes([_STRING]) + _LENGTH.pack(len(value)) + value
