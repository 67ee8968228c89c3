"""One limit on how deep JSON of others is nested, wherever it is read."""

import json
from typing import Any

import pytest

from llm_core.apis.registry import read_ask
from llm_core.apis.support import SAMPLES
from llm_core.catalogue import ProviderKind
from llm_core.chat.encoding import decode_object, decode_value, parse_object
from llm_core.errors import MalformedRequest, ProviderUnavailable
from llm_core.nesting import MAX_DEPTH, is_too_deep
from llm_core.operation import Operation
from llm_core.policy.decision import Obligations


def nested(levels: int) -> bytes:
    """An object of so many levels, lists and objects in turn."""
    pairs, one_more = divmod(levels, 2)
    return b'{"a":[' * pairs + b"{}" * one_more + b"]}" * pairs


@pytest.mark.parametrize("text", [nested(MAX_DEPTH), nested(MAX_DEPTH).decode()])
def test_the_deepest_that_is_taken(text: bytes | str) -> None:
    assert not is_too_deep(text)
    assert decode_value(text) == decode_object(nested(MAX_DEPTH)) == parse_object(nested(MAX_DEPTH))


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 500, 100_000])
def test_one_level_more_is_refused_by_every_reader(levels: int) -> None:
    body = nested(levels)
    assert is_too_deep(body)
    assert is_too_deep(body.decode())
    assert decode_value(body) is decode_value(body.decode()) is decode_object(body) is None
    with pytest.raises(MalformedRequest, match=f"nested too deeply: it may have {MAX_DEPTH} lev"):
        parse_object(body)


def test_what_pythons_own_reader_takes_beside_json_counts_as_well() -> None:
    assert is_too_deep(b"[NaN," + nested(MAX_DEPTH) + b"]")
    assert not is_too_deep(b"[NaN," + nested(MAX_DEPTH - 1) + b"]")
    assert is_too_deep(b"[NaN," + nested(100_000) + b"]")


def test_levels_count_and_not_brackets() -> None:
    text = '[{"\\"' * 50_000
    wide: dict[str, Any] = {"texts": [text] * 3, "members": {str(n): [{}] for n in range(5000)}}
    body = json.dumps(wide)
    assert not is_too_deep(body)
    assert parse_object(body.encode()) == decode_value(body) == wide


@pytest.mark.parametrize("text", [b"[" * 1000 + b"\xff", b"[" * 100 + b"}" * 100, b"[,{" * 60])
def test_what_is_no_json_is_left_to_its_reader(text: bytes) -> None:
    assert decode_value(text) is None
    with pytest.raises(MalformedRequest):
        parse_object(text)


def test_a_chunk_that_is_passed_on_has_the_same_limit() -> None:
    ask = read_ask(
        Operation.CHAT_COMPLETIONS,
        b'{"model":"m","stream":true,"messages":[{"role":"user","content":"h"}]}',
    )
    made = ask.exchange(SAMPLES[ProviderKind.OPENAI], Obligations(), created=1)

    def chunk(more: bytes) -> bytes:
        choice = b'{"index":0,"delta":{"content":"x"},"finish_reason":null}'
        head = b'data: {"object":"chat.completion.chunk","choices":[' + choice + b'],"more":'
        return head + more + b"}\n\n"

    stream = made.stream()
    assert stream.feed(chunk(b"0"))
    assert stream.feed(chunk(nested(MAX_DEPTH - 1)))
    with pytest.raises(ProviderUnavailable):
        stream.feed(chunk(nested(5000)))
