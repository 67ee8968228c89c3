"""What must hold for server-sent events however the bytes arrive."""

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_core.errors import ProviderUnavailable
from llm_core.sse import SseDecoder, SseEvent, encode_event

STREAM = (
    "\ufeff: a comment\n"
    "event: first\n"
    'data: {"a":"é"}\n'
    "\n"
    "data:1\n"
    "data: 2\n"
    "id: 7\n"
    "retry: 10\n"
    "unknown\n"
    "\n"
    "event: never sent\n"
    "\n"
    "data\n"
    "\n"
    "data:  two spaces: one kept\n"
    "\n"
    "data: [DONE]\n"
    "\n"
).encode()

EVENTS = [
    SseEvent("first", '{"a":"é"}'.encode()),
    SseEvent(None, b"1\n2", "7"),
    SseEvent(None, b"", "7"),
    SseEvent(None, b" two spaces: one kept", "7"),
    SseEvent(None, b"[DONE]", "7"),
]

# Machines that build are shared: how long one example takes says nothing.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

newlines = st.sampled_from([b"\n", b"\r\n", b"\r"])


def cut(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(c for c in cuts if c < len(stream)), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


@unhurried
@given(cuts=st.lists(st.integers(0, 2 * len(STREAM))), newline=newlines)
def test_any_cut_gives_the_same_events(cuts: list[int], newline: bytes):
    decoder = SseDecoder()
    stream = STREAM.replace(b"\n", newline)
    events = [event for part in cut(stream, cuts) for event in decoder.feed(part)]
    assert events == EVENTS
    assert decoder.finish() == []


@unhurried
@given(newline=newlines)
def test_one_byte_at_a_time_gives_the_same_events(newline: bytes):
    decoder = SseDecoder()
    stream = STREAM.replace(b"\n", newline)
    assert [e for byte in stream for e in decoder.feed(bytes([byte]))] == EVENTS


@unhurried
@given(
    data=st.text(st.characters(codec="utf-8", exclude_characters="\r\n")).map(str.encode),
    name=st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1),
    cuts=st.lists(st.integers(0, 60)),
)
def test_an_event_that_is_written_reads_the_same(data: bytes, name: str | None, cuts: list[int]):
    decoder = SseDecoder()
    written = encode_event(data, name)
    events = [event for part in cut(written, cuts) for event in decoder.feed(part)]
    assert events == [SseEvent(name, data)]


@unhurried
@given(stream=st.binary(max_size=200), cuts=st.lists(st.integers(0, 200)))
def test_any_bytes_at_all_give_the_same_events_however_cut(stream: bytes, cuts: list[int]):
    whole, parts = SseDecoder(), SseDecoder()
    expected = [*whole.feed(stream), *whole.finish()]
    got = [event for part in cut(stream, cuts) for event in parts.feed(part)]
    assert [*got, *parts.finish()] == expected


@unhurried
@given(cuts=st.lists(st.integers(0, 480)))
def test_an_endless_event_is_refused_at_the_limit_however_cut(cuts: list[int]):
    decoder = SseDecoder(max_pending_bytes=100)
    parts = cut(b"data: x\n" * 60, cuts)
    with pytest.raises(ProviderUnavailable):
        list(map(decoder.feed, parts))
