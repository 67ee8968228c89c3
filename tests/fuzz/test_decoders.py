"""Bytes of any kind into the two decoders of streams: any cut gives the same, within bounds."""

import gc
import struct
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from zlib import crc32

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llm_core.errors import ProviderUnavailable
from llm_core.providers.bedrock.event_stream import EventStreamDecoder, Message
from llm_core.sse import SseDecoder, SseEvent
from tests.fixtures.fuzzing import cut, fuzzed

MAX_BYTES = 4096
PIECE = 1024
# What the interpreter and the decoder itself may take beyond what is pending.
SLACK_BYTES = 64 * 1024

# Bytes of which streams are made, so that chance meets the format.
lines = st.lists(
    st.sampled_from([b"data", b"event", b"id", b"retry", b":", b" ", b"\n", b"\r", b"\r\n\r\n"])
    | st.sampled_from([b"\xef\xbb\xbf", b"\0", b"\xff", b"x" * 50, b"[DONE]"])
    | st.binary(max_size=8),
    max_size=40,
).map(b"".join)
cuts = st.lists(st.integers(0, 400), max_size=20)


def told_by_sse(parts: list[bytes]) -> tuple[list[SseEvent], bool]:
    """The events, and whether there was too much of one."""
    decoder = SseDecoder(max_pending_bytes=200)
    events: list[SseEvent] = []
    try:
        for part in parts:
            events += decoder.feed(part)
        events += decoder.finish()
    except ProviderUnavailable:
        return events, True
    return events, False


@fuzzed
@given(stream=lines, cuts=cuts)
@example(stream=b"\r\n\r", cuts=[1, 2])
def test_server_sent_events_of_any_bytes_however_cut(stream: bytes, cuts: list[int]):
    decoder, whole = SseDecoder(), SseDecoder()
    events = [event for part in cut(stream, cuts) for event in decoder.feed(part)]
    assert [*events, *decoder.finish()] == [*whole.feed(stream), *whole.finish()]
    told_by_sse(cut(stream, cuts))


def framed(headers: bytes, payload: bytes) -> bytes:
    """A message whose lengths and checksums are right, whatever its headers say."""
    lengths = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = lengths + struct.pack(">I", crc32(lengths)) + headers + payload
    return message + struct.pack(">I", crc32(message))


one_header = st.builds(
    lambda name, kind, value: bytes([len(name)]) + name + bytes([kind]) + value,
    st.binary(max_size=5),
    st.integers(0, 12),
    st.binary(max_size=20) | st.binary(max_size=9).map(lambda b: struct.pack(">H", len(b)) + b),
)
framings = st.lists(
    st.builds(
        framed,
        st.binary(max_size=20) | st.lists(one_header, max_size=3).map(b"".join),
        st.binary(max_size=30),
    )
    | st.binary(max_size=20),
    max_size=5,
).map(b"".join)


def told_by_aws(parts: list[bytes]) -> tuple[list[Message], bool]:
    decoder = EventStreamDecoder(max_message_bytes=MAX_BYTES)
    messages = [message for part in parts for message in decoder.feed(part)]
    return messages, decoder.fault is not None


@fuzzed
@given(stream=framings, cuts=cuts)
@example(stream=framed(b"\x01", b""), cuts=[])
@example(stream=framed(b"\x01\xff\x07\x00\x01a", b""), cuts=[])
@example(stream=struct.pack(">III", 2**31, 0, crc32(struct.pack(">II", 2**31, 0))), cuts=[5])
def test_event_streams_of_any_bytes_however_cut(stream: bytes, cuts: list[int]):
    assert told_by_aws(cut(stream, cuts)) == told_by_aws([stream])


ENDLESS: dict[str, Callable[[int], bytes]] = {
    "one line": lambda _: b"x" * PIECE,
    "data": lambda _: b"data: " + b"x" * PIECE + b"\n",
    "empty data": lambda _: b"data\n" * 200,
    "names": lambda number: b"event: " + str(number).encode() * 200 + b"\n",
    "ids": lambda number: b"id: " + str(number).encode() * 200 + b"\n",
    "comments": lambda _: b": " + b"x" * PIECE + b"\n",
    "line ends": lambda _: b"\r\n" * 500,
}


@pytest.mark.parametrize("piece", ENDLESS.values(), ids=ENDLESS)
def test_what_never_ends_takes_no_more_memory_than_the_limit(piece: Callable[[int], bytes]):
    decoder = SseDecoder(max_pending_bytes=MAX_BYTES)
    assert held_after(decoder.feed, piece) < MAX_BYTES + SLACK_BYTES


def test_a_message_that_is_announced_and_never_sent_takes_no_memory():
    lengths = struct.pack(">II", 2**31, 0)
    decoder = EventStreamDecoder(max_message_bytes=MAX_BYTES)
    decoder.feed(lengths + struct.pack(">I", crc32(lengths)))
    assert held_after(decoder.feed, lambda _: b"x" * PIECE) < SLACK_BYTES
    assert decoder.fault is not None


def held_after(feed: Callable[[bytes], object], piece: Callable[[int], bytes]) -> int:
    """The bytes that are still held after 300 KB were fed, or the limit stopped it."""
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        with suppress(ProviderUnavailable):
            for number in range(300):
                feed(piece(number))
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
