"""What must hold for the Responses API, however a stream is cut and whatever is said."""

import copy
import json
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_core.apis.ask import ClientStream
from llm_core.apis.dialect import ChatExchange
from llm_core.apis.responses import read_responses
from llm_core.apis.responses.dialect import Numbered, ResponsesDialect
from llm_core.apis.responses.native_stream import NativeResponseStream
from llm_core.apis.responses.output import echo_of
from llm_core.apis.responses.replay import events_of
from llm_core.catalogue import Deployment, ProviderKind
from llm_core.chat.chunk import chunks_of, fold
from llm_core.errors import ProviderError, RequestError
from llm_core.policy.decision import Obligations
from llm_core.providers.translator import ProviderRequest
from llm_core.sse import SseDecoder, encode_event
from tests.golden.cases import Case, all_cases

STREAMS = [case for case in all_cases() if case.stream is not None]
NOTHING = ProviderRequest("", {}, b"")

# Machines that build are shared: how long one example takes says nothing.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

texts = st.text(min_size=1, max_size=20)
cuts = st.lists(st.integers(0, 10_000), max_size=20)


def dialect(*, summarises: bool = False) -> ResponsesDialect:
    return ResponsesDialect(echo_of({}), "asked", summarises=summarises)


def cut(stream: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted(c for c in at if c < len(stream)), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


def read(stream: ClientStream, parts: list[bytes]) -> tuple[list[bytes], str | None, Any]:
    events: list[bytes] = []
    failure = None
    try:
        for part in parts:
            events += stream.feed(part)
        events += stream.finish()
    except ProviderError as error:
        failure = error.public_message
    return events, failure, (stream.usage, stream.served_model, stream.folded())


def translated(case: Case) -> ClientStream:
    made = ChatExchange(case.request, case.deployment, case.translator, dialect(), 7, NOTHING)
    return made.stream(is_kept=True)


@st.composite
def completions(draw: st.DrawFn) -> dict[str, Any]:
    """Whatever a chat completion can say."""
    message: dict[str, Any] = {"role": "assistant", "content": None}
    for name in ("reasoning_content", "content", "refusal"):
        if draw(st.booleans()):
            message[name] = draw(texts)
    if message.get("reasoning_content") and draw(st.booleans()):
        message["thinking_blocks"] = [{"type": "thinking", "signature": draw(texts)}]
    calls = [
        {"id": f"call_{number}", "type": "function", "function": {"name": "f", "arguments": said}}
        for number, said in enumerate(draw(st.lists(texts, max_size=3)))
    ]
    if calls:
        message["tool_calls"] = calls
    return {
        "id": draw(texts),
        "object": "chat.completion",
        "created": 7,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": None,
                "finish_reason": "tool_calls"
                if calls
                else draw(st.sampled_from(["stop", "length", "content_filter"])),
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }


def in_pieces(completion: dict[str, Any], size: int) -> list[dict[str, Any]]:
    """The chunks of a completion, every text in pieces, in the order in which models speak."""
    whole, *rest = chunks_of(completion)
    delta = whole["choices"][0]["delta"]
    pieces: list[dict[str, Any]] = [{"role": "assistant"}]
    for name in ("reasoning_content", "thinking_blocks", "content", "refusal"):
        said = delta.get(name)
        if isinstance(said, str):
            pieces += [{name: said[at : at + size]} for at in range(0, len(said), size)]
        elif said:
            pieces.append({name: said})
    for call in delta.get("tool_calls") or ():
        said = call["function"]["arguments"]
        opened = {**call, "function": {"name": "f", "arguments": ""}}
        pieces.append({"tool_calls": [opened]})
        pieces += [
            {
                "tool_calls": [
                    {"index": call["index"], "function": {"arguments": said[at : at + size]}}
                ]
            }
            for at in range(0, len(said), size)
        ]
    made = [
        {**whole, "choices": [{"index": 0, "delta": piece, "finish_reason": None}]}
        for piece in pieces
    ]
    return [*made, *rest]


@pytest.mark.parametrize("case", STREAMS, ids=lambda case: case.id)
@unhurried
@given(at=cuts)
def test_any_cut_of_a_translated_stream_gives_the_same_events(case: Case, at: list[int]):
    assert case.stream is not None
    once = read(translated(case), [case.stream])
    assert read(translated(case), cut(case.stream, at)) == once


@unhurried
@given(completion=completions(), at=cuts)
def test_any_cut_of_a_native_stream_gives_the_same_events(
    completion: dict[str, Any], at: list[int]
):
    response = dialect().body(completion)
    stream = b"".join(Numbered().encoded(events_of(response)))
    events, failure, (_, _, folded) = read(NativeResponseStream("OpenAI"), cut(stream, at))
    assert b"".join(events) == stream
    assert failure is None
    assert folded == response


@unhurried
@given(completion=completions(), size=st.integers(1, 7), summarises=st.booleans())
def test_a_stream_adds_up_to_the_whole_response(
    completion: dict[str, Any], size: int, summarises: bool
):
    before = copy.deepcopy(completion)
    spoken = dialect(summarises=summarises)
    writer = spoken.events()
    chunks = in_pieces(completion, size)
    events = [event for chunk in chunks for event in writer.write(chunk)]
    events += writer.end()
    told = [json.loads(event.data) for event in SseDecoder().feed(b"".join(events))]
    assert told[-1]["response"] == spoken.body(completion) == spoken.body(fold(chunks))
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    done = [event["item"] for event in told if event["type"] == "response.output_item.done"]
    by_place = sorted(done, key=told[-1]["response"]["output"].index)
    assert by_place == told[-1]["response"]["output"]
    assert completion == before


@unhurried
@given(completion=completions(), summarises=st.booleans())
def test_a_response_says_all_that_the_completion_said(completion: dict[str, Any], summarises: bool):
    spoken = dialect(summarises=summarises)
    back = spoken.completion(spoken.body(completion))
    assert back["choices"] == completion["choices"]
    assert back["usage"]["total_tokens"] == 5


@unhurried
@given(completion=completions())
def test_an_answer_given_back_as_input_is_the_message_that_it_was(completion: dict[str, Any]):
    output = dialect().body(completion)["output"]
    body = {"model": "m", "input": [*output, {"role": "user", "content": "And?"}]}
    said = [dict(m) for m in read_responses(json.dumps(body).encode()).chat.messages[:-1]]
    message = completion["choices"][0]["message"]
    spoken = {name: value for name, value in message.items() if value}
    if spoken.keys() & {"content", "refusal", "tool_calls"}:
        assert [{k: v for k, v in one.items() if v} for one in said] == [spoken]
    else:
        assert not said


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("type", "role", "content", "text", "input", "output", "name", "arguments"),
                    *("call_id", "summary", "encrypted_content", "format", "effort", "function"),
                    *("choices", "delta", "message", "tool_calls", "index", "usage", "response"),
                    *("error", "code", "model", "logprobs", "finish_reason", "refusal", "item"),
                ]
            ),
            inner | st.sampled_from(["message", "function", "user", "reasoning", "input_text"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@unhurried
@given(
    fields=st.dictionaries(
        st.sampled_from(
            [
                *("input", "instructions", "tools", "tool_choice", "text", "reasoning", "include"),
                *("max_output_tokens", "stream", "metadata", "truncation", "store", "prompt"),
            ]
        ),
        json_values,
    )
)
def test_a_nonsensical_request_is_refused_and_nothing_else(fields: dict[str, Any]):
    body = json.dumps({"model": "m", "input": "x", **fields}).encode()
    with suppress(RequestError):
        read_responses(body).prompt_tokens(len)


@unhurried
@given(said=st.lists(json_values, max_size=4))
def test_nonsense_from_a_server_is_its_error_and_nothing_else(said: list[Any]):
    stream = b"".join(encode_event(json.dumps(one).encode()) for one in said)
    reading = NativeResponseStream("OpenAI")
    read(reading, [stream])
    list(reading.texts())
    for one in said:
        if isinstance(one, dict):
            chunk: dict[str, Any] = one
            with suppress(ProviderError):
                dialect().body(chunk)
                writer = dialect().events()
                writer.write(chunk)
                writer.end()


REQUESTS: list[dict[str, Any]] = [
    {"model": "m", "input": "hello", "instructions": "Be brief.", "stream": True},
    {
        "model": "m",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
            {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"},
            {"type": "function_call", "call_id": "abcdefghi", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "abcdefghi", "output": "Rain"},
        ],
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}],
        "tool_choice": "auto",
        "reasoning": {"effort": "low"},
        "max_output_tokens": 100,
        "truncation": "auto",
    },
    {
        "model": "m",
        "input": "hello",
        "text": {
            "format": {
                "type": "json_schema",
                "name": "n",
                "schema": {"type": "object", "properties": {}, "additionalProperties": False},
            }
        },
    },
]


@pytest.mark.parametrize("fields", REQUESTS)
@pytest.mark.parametrize("kind", list(ProviderKind))
def test_translating_changes_nothing_and_gives_the_same_bytes_twice(
    fields: dict[str, Any], kind: ProviderKind
):
    ask = read_responses(json.dumps(fields).encode())
    before = copy.deepcopy((dict(ask.fields), dict(ask.chat.fields)))
    deployment = Deployment("d", kind, "claude-sonnet-4-5", "https://example.com")
    try:
        first = ask.exchange(deployment, Obligations(), created=1).request
    except RequestError:
        first = None
    assert (dict(ask.fields), dict(ask.chat.fields)) == before
    if first is not None:
        assert ask.exchange(deployment, Obligations(), created=1).request == first
