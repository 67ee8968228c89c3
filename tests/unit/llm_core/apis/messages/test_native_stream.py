"""Anthropic's stream for a client of Anthropic's."""

import json
from typing import Any

import pytest

from llm_core.apis.messages.native_stream import NativeStream
from llm_core.errors import ProviderError, ProviderTimeout, ProviderUnavailable
from llm_core.providers.anthropic.stream import AnthropicStream
from llm_core.tokens.usage import TokenUsage


def event(kind: str, **members: Any) -> bytes:
    data = json.dumps({"type": kind, **members})
    return f"event: {kind}\ndata: {data}\n\n".encode()


START = event(
    "message_start",
    message={
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [],
        "stop_reason": None,
        "usage": {"input_tokens": 12, "output_tokens": 1},
    },
)
OPEN = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
WORD = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "hi"})
CLOSE = event("content_block_stop", index=0)
PING = event("ping")
DELTA = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 3})
STOP = event("message_stop")
OVERLOADED = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
WHOLE = [START, PING, OPEN, WORD, CLOSE, DELTA, STOP]


def started(*, is_kept: bool = False) -> NativeStream:
    return NativeStream(AnthropicStream(), is_kept=is_kept)


def test_events_are_passed_on_as_they_came():
    stream = started()
    assert [list(stream.feed(one)) for one in WHOLE] == [[one] for one in WHOLE]
    assert stream.finish() == []
    assert stream.usage == TokenUsage(input_tokens=12, output_tokens=3)
    assert stream.served_model == "claude-x"
    assert list(stream.texts()) == ["hi"]
    assert stream.folded() is None


def test_a_stream_that_is_kept_adds_up_to_its_message():
    stream = started(is_kept=True)
    stream.feed(b"".join(WHOLE[:-1]))
    assert stream.folded() is None
    stream.feed(STOP)
    stream.finish()
    message = stream.folded()
    assert message is not None
    assert message["content"] == [{"type": "text", "text": "hi"}]
    assert message["stop_reason"] == "end_turn"
    assert message["usage"] == {"input_tokens": 12, "output_tokens": 3}


def test_an_answer_has_begun_with_its_first_word():
    stream = started()
    for one in (START, PING, OPEN):
        stream.feed(one)
        assert not stream.has_begun
    stream.feed(WORD)
    assert stream.has_begun


def test_an_error_comes_behind_what_came_before_it():
    stream = started()
    assert list(stream.feed(START + OPEN + OVERLOADED)) == [START, OPEN]
    assert not stream.has_begun
    with pytest.raises(ProviderError) as failed:
        stream.feed(b"")
    assert failed.value.http_status == 503
    with pytest.raises(ProviderError):
        stream.finish()


def test_an_error_alone_is_raised_at_once():
    with pytest.raises(ProviderError):
        started().feed(OVERLOADED)


@pytest.mark.parametrize("end", range(len(WHOLE)))
def test_a_stream_that_breaks_off_is_not_whole(end: int):
    stream = started(is_kept=True)
    stream.feed(b"".join(WHOLE[:end]))
    with pytest.raises(ProviderUnavailable):
        stream.finish()
    assert stream.folded() is None
    assert stream.usage.output_tokens == (3 if end > WHOLE.index(DELTA) else None)


def test_what_comes_behind_the_end_is_not_passed_on():
    stream = started()
    stream.feed(b"".join(WHOLE))
    assert stream.feed(WORD + OVERLOADED) == []
    assert stream.finish() == []


@pytest.mark.parametrize("nonsense", [b"data: <html>\n\n", b'data: {"type": "message_start"}\n\n'])
def test_nonsense_is_an_error_of_the_provider(nonsense: bytes):
    with pytest.raises(ProviderUnavailable):
        started().feed(nonsense)


def test_events_without_names_get_theirs():
    nameless = b"".join(one.split(b"\n", 1)[1] for one in WHOLE)
    stream = started()
    assert list(stream.feed(nameless)) == WHOLE
    assert stream.finish() == []


def test_the_end_of_a_broken_stream_is_one_of_anthropics():
    assert started().failed(ProviderTimeout("x")).startswith(b"event: error\n")
