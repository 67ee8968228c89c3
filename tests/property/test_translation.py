"""What must hold for translation whatever is said and however a stream is cut."""

import copy
import json
from contextlib import suppress
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_core.catalogue import Deployment, ProviderKind
from llm_core.chat.chunk import fold
from llm_core.chat.request import ChatRequest
from llm_core.errors import ProviderError, ProviderUnavailable, RequestError
from llm_core.providers.registry import translator_for
from llm_core.sse import encode_event
from tests.golden.cases import Case, all_cases

CASES = all_cases()
STREAMS = [case for case in CASES if case.stream is not None]

# Machines that build are shared: how long one example takes says nothing.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

texts = st.text(min_size=1, max_size=20)
arguments = st.dictionaries(texts, st.integers() | texts | st.booleans(), max_size=3)
usages = st.fixed_dictionaries(
    {
        "input_tokens": st.integers(0, 10**6),
        "cache_read_input_tokens": st.integers(0, 10**6),
        "cache_creation_input_tokens": st.integers(0, 10**6),
        "output_tokens": st.integers(1, 10**6),
    }
)


def cut(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(c for c in cuts if c < len(stream)), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


def read(case: Case, parts: list[bytes]) -> tuple[list[dict[str, Any]], str | None, Any]:
    """Everything that a reader of the stream gets to see."""
    reader = case.translator.stream(case.request)
    chunks: list[dict[str, Any]] = []
    failure = None
    try:
        for part in parts:
            chunks += reader.feed(part)
        chunks += reader.finish()
    except ProviderError as error:
        failure = error.public_message
    return chunks, failure, (reader.usage, reader.served_model, reader.is_complete)


@pytest.mark.parametrize("case", STREAMS, ids=lambda case: case.id)
@unhurried
@given(data=st.data(), newline=st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_any_cut_of_a_stream_gives_the_same_chunks(case: Case, data: st.DataObject, newline: bytes):
    assert case.stream is not None
    stream = case.stream if case.has_framed_stream else case.stream.replace(b"\n", newline)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=30))
    assert read(case, cut(stream, cuts)) == read(case, [case.stream])


@pytest.mark.parametrize("case", STREAMS, ids=lambda case: case.id)
@unhurried
@given(data=st.data())
def test_a_stream_that_breaks_off_is_never_called_complete_too_early(
    case: Case, data: st.DataObject
):
    """What came before the break is given, and nothing is made up."""
    assert case.stream is not None
    end = data.draw(st.integers(0, len(case.stream)))
    whole, _, _ = read(case, [case.stream])
    part, _, (_, _, is_complete) = read(case, [case.stream[:end]])
    said = [chunk for chunk in part if chunk["choices"]]
    assert said == [chunk for chunk in whole if chunk["choices"]][: len(said)]
    if is_complete:
        assert all(choice["finish_reason"] for choice in fold(part)["choices"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
@pytest.mark.parametrize("kind", list(ProviderKind))
def test_translating_changes_nothing_and_gives_the_same_bytes_twice(case: Case, kind: ProviderKind):
    """The same request may be translated again, for this provider or the next."""
    request = case.request
    before = copy.deepcopy(request.fields)
    deployment = Deployment(
        id="d", provider=kind, model="claude-sonnet-4-5", base_url="https://example.com"
    )
    try:
        first = translator_for(kind).request(request, deployment)
    except RequestError:
        assert request.fields == before
        return
    assert request.fields == before
    assert translator_for(kind).request(request, deployment) == first


@st.composite
def blocks(draw: st.DrawFn) -> list[dict[str, Any]]:
    """The content of an answer of Anthropic's: thinking, then text, then calls."""
    content: list[dict[str, Any]] = []
    for thought in draw(st.lists(texts, max_size=2)):
        content.append({"type": "thinking", "thinking": thought, "signature": "c2ln"})
    for text in draw(st.lists(texts, max_size=2)):
        content.append({"type": "text", "text": text})
    for number, given_ in enumerate(draw(st.lists(arguments, max_size=3))):
        call = {"id": f"toolu_{number}", "name": f"tool_{number}", "input": given_}
        content.append({"type": "tool_use", **call})
    return content


@unhurried
@given(
    content=blocks(),
    stop_reason=st.sampled_from(["end_turn", "max_tokens", "tool_use", "refusal"]),
    usage=usages,
    size=st.integers(1, 7),
)
def test_a_streamed_answer_of_anthropic_adds_up_to_the_whole_one(
    content: list[dict[str, Any]], stop_reason: str, usage: dict[str, int], size: int
):
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": content,
        "stop_reason": stop_reason,
        "usage": usage,
    }
    translator = translator_for(ProviderKind.ANTHROPIC)
    whole = translator.response(json.dumps(message).encode())
    reader = translator.stream(_hello())
    chunks = [*reader.feed(_as_stream(message, size)), *reader.finish()]
    assert fold(chunks) == whole.body
    assert reader.usage == whole.usage
    assert reader.served_model == whole.served_model
    assert reader.is_complete


@unhurried
@given(text=texts, cuts=st.lists(st.integers(0, 20)), usage=usages)
def test_a_streamed_answer_of_openai_adds_up_to_the_whole_one(
    text: str, cuts: list[int], usage: dict[str, int]
):
    counted = {
        "prompt_tokens": usage["input_tokens"],
        "completion_tokens": usage["output_tokens"],
        "total_tokens": usage["input_tokens"] + usage["output_tokens"],
    }
    edges = [0, *sorted(c for c in cuts if c < len(text)), len(text)]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": text[start:end]} for start, end in pairwise(edges)]
    envelope = {"id": "c1", "created": 1, "model": "gpt"}
    events = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    events.append({"choices": [], "usage": counted})
    stream = b"".join(
        encode_event(json.dumps({**envelope, "object": "chat.completion.chunk", **e}).encode())
        for e in events
    )
    translator = translator_for(ProviderKind.OPENAI)
    reader = translator.stream(_hello())
    folded = fold([*reader.feed(stream), *reader.feed(b"data: [DONE]\n\n"), *reader.finish()])
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    whole = {**envelope, "object": "chat.completion", "choices": [choice], "usage": counted}
    assert folded == whole
    assert reader.usage == translator.response(json.dumps(whole).encode()).usage


@pytest.mark.parametrize("kind", list(ProviderKind))
@unhurried
@given(
    stream=st.binary(max_size=100)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | texts,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "type",
                        "choices",
                        "delta",
                        "usage",
                        "index",
                        "message",
                        "content_block",
                        "error",
                        "model",
                        "finish_reason",
                        "id",
                        "content",
                        "tool_calls",
                    ]
                )
                | texts,
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ).map(lambda value: b"data: " + json.dumps(value).encode() + b"\n\n")
)
def test_nonsense_from_a_provider_is_an_error_of_the_provider_and_nothing_else(
    kind: ProviderKind, stream: bytes
):
    translator = translator_for(kind)
    reader = translator.stream(_hello())
    with suppress(ProviderError):
        reader.feed(stream)
        reader.finish()
    with suppress(ProviderUnavailable):
        translator.response(stream.removeprefix(b"data: "))
    assert translator.failure(500, {}, stream.removeprefix(b"data: ")).http_status == 500


def _hello() -> ChatRequest:
    return ChatRequest(fields={"model": "m", "messages": [{"role": "user", "content": "hi"}]})


def _as_stream(message: dict[str, Any], size: int) -> bytes:
    usage = message["usage"]
    begun = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": begun}]
    for index, block in enumerate(message["content"]):
        opened, deltas = _opened(block, size)
        events.append({"type": "content_block_start", "content_block": opened, "index": index})
        events += [{"type": "content_block_delta", "index": index, "delta": d} for d in deltas]
        events += [{"type": "ping"}, {"type": "content_block_stop", "index": index}]
    stopped = {"stop_reason": message["stop_reason"]}
    events.append({"type": "message_delta", "delta": stopped, "usage": usage})
    events.append({"type": "message_stop"})
    return b"".join(encode_event(json.dumps(e).encode(), e["type"]) for e in events)


def _opened(block: dict[str, Any], size: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    def pieces(text: str) -> list[str]:
        return [text[start : start + size] for start in range(0, len(text), size)]

    match block["type"]:
        case "text":
            deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
            return {**block, "text": ""}, deltas
        case "thinking":
            thoughts = pieces(block["thinking"])
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in thoughts]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
            return {"type": "thinking", "thinking": ""}, deltas
        case _:
            text = msgspec.json.encode(block["input"]).decode() if block["input"] else ""
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces(text)]
            return {**block, "input": {}}, deltas
