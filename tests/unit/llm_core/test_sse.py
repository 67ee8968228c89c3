import pytest

from llm_core.errors import ProviderUnavailable
from llm_core.sse import DONE, DONE_DATA, SseDecoder, SseEvent, encode_event


def test_an_event_without_its_blank_line_is_given_at_the_end():
    decoder = SseDecoder()
    assert decoder.feed(b"event: e\ndata: 1\ndata: 2") == []
    assert decoder.finish() == [SseEvent("e", b"1\n2")]
    assert decoder.finish() == []


def test_a_cr_that_ends_what_was_received_ends_its_line_at_once():
    """Waiting for a possible LF would hold back the event until the next one comes."""
    decoder = SseDecoder()
    assert decoder.feed(b"data: 1\r\r") == [SseEvent(None, b"1")]
    assert decoder.feed(b"\ndata: 2\r\n\r\n") == [SseEvent(None, b"2")]


def test_a_byte_order_mark_cut_in_three_is_passed_over():
    decoder = SseDecoder()
    parts = [b"\xef", b"\xbb", b"\xbfdata: 1\n\n"]
    assert [event for part in parts for event in decoder.feed(part)] == [SseEvent(None, b"1")]


def test_line_ends_inside_data_become_data_lines():
    assert encode_event(b"1\r\n2\n3") == b"data: 1\ndata: 2\ndata: 3\n\n"
    assert encode_event(DONE_DATA) == DONE
    assert encode_event(b"{}", "ping") == b"event: ping\ndata: {}\n\n"


@pytest.mark.parametrize("part", [b"x" * 10, b"data: 1\n", b"data\n", b": c"])
def test_an_event_that_never_ends_is_refused_at_the_limit(part: bytes):
    decoder = SseDecoder(max_pending_bytes=64)
    with pytest.raises(ProviderUnavailable, match="longer than 64 bytes"):
        list(map(decoder.feed, [part] * 100))


def test_a_long_stream_of_short_events_never_reaches_the_limit():
    decoder = SseDecoder(max_pending_bytes=64)
    events = [e for _ in range(1000) for e in decoder.feed(b": keep-alive\n\ndata: 12345678\n\n")]
    assert len(events) == 1000


def test_a_megabyte_that_comes_byte_by_byte_is_read_without_copying_it_each_time():
    """Quadratic code copies half a terabyte here and would run into the suite's time limit."""
    decoder = SseDecoder()
    decoder.feed(b"data: ")
    for _ in range(1_000_000):
        decoder.feed(b"x")
    assert decoder.feed(b"\n\n") == [SseEvent(None, b"x" * 1_000_000)]
