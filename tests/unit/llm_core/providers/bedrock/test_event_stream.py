"""Our decoder against the vendor's, and our encoder too."""

import struct
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer

from llm_core.providers.bedrock.event_stream import EventStreamDecoder, Message, encode_message

HEADERS = {":event-type": "messageStart", ":message-type": "event", "größe": "ä" * 300}
PAYLOAD = b'{"role": "assistant"}'


def framed(headers: bytes, payload: bytes = PAYLOAD) -> bytes:
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    prelude += struct.pack(">I", crc32(prelude))
    message = prelude + headers + payload
    return message + struct.pack(">I", crc32(message))


def header(name: bytes, kind: int, value: bytes) -> bytes:
    return bytes([len(name)]) + name + bytes([kind]) + value


ALL_TYPES = b"".join(
    [
        header(b"true", 0, b""),
        header(b"false", 1, b""),
        header(b"byte", 2, struct.pack(">b", -7)),
        header(b"short", 3, struct.pack(">h", -300)),
        header(b"int", 4, struct.pack(">i", -70_000)),
        header(b"long", 5, struct.pack(">q", -(2**40))),
        header(b"bytes", 6, struct.pack(">H", 3) + b"\x00\xff\x01"),
        header(b"string", 7, struct.pack(">H", 4) + "äö".encode()),
        header(b"time", 8, struct.pack(">q", 1_767_225_600_000)),
        header(b"uuid", 9, bytes(range(16))),
    ]
)


def by_the_vendor(stream: bytes) -> list[Message]:
    buffer = EventStreamBuffer()
    buffer.add_data(stream)
    return [Message(event.headers, event.payload) for event in buffer]


def by_us(stream: bytes, size: int | None = None) -> list[Message]:
    decoder = EventStreamDecoder()
    step = size or max(1, len(stream))
    messages = []
    for start in range(0, len(stream), step):
        messages += decoder.feed(stream[start : start + step])
    assert decoder.fault is None
    assert not decoder.has_pending
    return messages


@pytest.mark.parametrize("size", [None, 1, 7, 12, 13])
def test_headers_of_all_types_read_as_the_vendor_reads_them(size: int | None):
    stream = framed(ALL_TYPES) + framed(b"", b"") + framed(ALL_TYPES, b"x" * 1000)
    assert by_us(stream, size) == by_the_vendor(stream)


def test_what_we_frame_the_vendor_reads():
    stream = encode_message(HEADERS, PAYLOAD) + encode_message({}, b"")
    assert by_the_vendor(stream) == [Message(HEADERS, PAYLOAD), Message({}, b"")]
    assert by_us(stream) == by_the_vendor(stream)


def test_an_unfinished_message_is_waited_for():
    stream = encode_message(HEADERS, PAYLOAD)
    decoder = EventStreamDecoder()
    assert decoder.feed(stream[:-1]) == []
    assert decoder.has_pending
    assert decoder.fault is None
    assert len(decoder.feed(stream[-1:])) == 1
    assert not decoder.has_pending


@pytest.mark.parametrize("place", range(len(encode_message({"a": "b"}, b"{}"))))
def test_no_byte_can_be_wrong_unnoticed(place: int):
    good = encode_message({"a": "b"}, b"{}")
    bad = bytearray(good)
    bad[place] ^= 0x01
    decoder = EventStreamDecoder()
    messages = decoder.feed(good + bytes(bad) + good)
    assert len(messages) == 1, "what came before the fault is given, nothing behind it"
    assert decoder.fault is not None
    assert decoder.feed(good) == []


def test_a_length_beyond_the_cap_is_refused_before_it_is_waited_for():
    decoder = EventStreamDecoder(max_message_bytes=100)
    assert decoder.feed(encode_message({}, b"x" * 100)[:12]) == []
    assert decoder.fault is not None
    assert not decoder.has_pending


@pytest.mark.parametrize(
    "headers",
    [
        header(b"a", 10, b""),
        header(b"a", 7, struct.pack(">H", 9) + b"short"),
        header(b"a", 4, b"\x00"),
        header(b"a", 9, b"\x00"),
        header(b"a", 7, struct.pack(">H", 1) + b"\xff"),
        header(b"\xff", 0, b""),
        header(b"a", 0, b"") * 2,
        b"\x09a",
    ],
    ids=["type", "text", "number", "uuid", "utf-8", "name", "twice", "cut"],
)
def test_headers_that_break_the_format_are_a_fault(headers: bytes):
    decoder = EventStreamDecoder()
    assert decoder.feed(framed(headers)) == []
    assert decoder.fault is not None


def test_a_header_that_is_no_text_reads_as_empty_text():
    (message,) = by_us(framed(ALL_TYPES))
    assert message.text("int") == message.text("missing") == ""
    assert message.text("string") == "äö"
