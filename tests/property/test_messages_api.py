"""What must hold for `/v1/messages` whatever is said and however a stream is cut."""

import copy
import json
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from llm_core.apis.ask import ClientStream
from llm_core.apis.dialect import ChatStream, Stamp
from llm_core.apis.messages import read_messages
from llm_core.apis.messages.dialect import MessagesDialect
from llm_core.apis.messages.fold import events_of, folded
from llm_core.catalogue import Deployment, ProviderKind
from llm_core.chat.checks import check_request
from llm_core.chat.chunk import chunk, chunks_of, fold
from llm_core.errors import GatewayError, MalformedRequest, ProviderError, RequestError
from llm_core.policy.decision import Obligations
from llm_core.providers.registry import translator_for
from llm_core.sse import SseDecoder
from tests.fakes.samples import CLAUDE
from tests.golden.cases import Case, all_cases

CASES = [case for case in all_cases() if case.stream is not None]
WIDE = replace(CLAUDE, max_output_tokens=64_000)
HELLO = json.dumps(
    {"model": "m", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
).encode()

# Machines that build are shared: how long one example takes says nothing.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

texts = st.text(min_size=1, max_size=12).filter(str.strip)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
arguments = st.dictionaries(texts, values, max_size=3)


def started(case: Case, *, is_translated: bool) -> ClientStream:
    """A kept stream of the case's provider; Anthropic's own can be put both ways."""
    if is_translated:
        dialect = MessagesDialect()
        reading = case.translator.stream(case.request)
        return ChatStream(reading, dialect, dialect.events(), Stamp(1, "model", b""), is_kept=True)
    made = read_messages(HELLO).exchange(case.deployment, Obligations(), created=1)
    return made.stream(is_kept=True)


def read(
    stream: ClientStream, parts: list[bytes]
) -> tuple[bytes, str | None, dict[str, Any] | None]:
    """Everything that a client and a keeper of the stream get."""
    events: list[bytes] = []
    failure = None
    try:
        for part in parts:
            events += stream.feed(part)
        events += stream.finish()
    except ProviderError as error:
        failure = error.public_message
    return b"".join(events), failure, stream.folded()


def cut(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(c for c in cuts if c < len(stream)), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


def message_told(raw: bytes) -> dict[str, Any]:
    return folded(json.loads(event.data) for event in SseDecoder().feed(raw))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
@pytest.mark.parametrize("is_translated", [True, False])
@unhurried
@given(data=st.data())
def test_any_cut_of_a_providers_stream_gives_the_same_events(
    case: Case, is_translated: bool, data: st.DataObject
):
    assert case.stream is not None
    cuts = data.draw(st.lists(st.integers(0, len(case.stream)), max_size=20))
    whole = read(started(case, is_translated=is_translated), [case.stream])
    stream = started(case, is_translated=is_translated)
    assert read(stream, cut(case.stream, cuts)) == whole
    assert stream.folded() == whole[2]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
@pytest.mark.parametrize("is_translated", [True, False])
def test_the_events_add_up_to_the_message_that_is_kept(case: Case, is_translated: bool):
    assert case.stream is not None
    raw, failure, kept = read(started(case, is_translated=is_translated), [case.stream])
    if failure is not None:
        assert kept is None
        return
    assert message_told(raw) == kept
    assert kept is not None
    assert message_told(b"".join(read_messages(HELLO).replayed(kept))) == kept
    assert message_told(b"".join(events_of(kept))) == kept


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
@unhurried
@given(data=st.data())
def test_a_stream_that_breaks_off_tells_only_what_came(case: Case, data: st.DataObject):
    assert case.stream is not None
    end = data.draw(st.integers(0, len(case.stream)))
    whole, _, _ = read(started(case, is_translated=False), [case.stream])
    part, failure, kept = read(started(case, is_translated=False), [case.stream[:end]])
    assert failure is None or kept is None
    # Usage and the end are only told when they are known.
    said = [e.data for e in SseDecoder().feed(part) if b'"message_delta"' not in e.data]
    all_said = [e.data for e in SseDecoder().feed(whole)]
    if failure is not None:
        assert said == all_said[: len(said)]


@st.composite
def call_deltas(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Calls whose arguments come in pieces, interleaved in any way, with words in between."""
    given_ = draw(st.lists(arguments, min_size=1, max_size=3))
    queues: list[list[dict[str, Any]]] = []
    for index, one in enumerate(given_):
        text = json.dumps(one)
        size = draw(st.integers(1, 6))
        pieces = [text[start : start + size] for start in range(0, len(text), size)]
        begun = {"index": index, "id": f"call_{index}", "function": {"name": f"f{index}"}}
        queues.append([begun, *({"index": index, "function": {"arguments": p}} for p in pieces)])
    queues = [[{"tool_calls": [delta]} for delta in queue] for queue in queues]
    queues.append([{"content": word} for word in draw(st.lists(texts, max_size=2))])
    deltas: list[dict[str, Any]] = []
    while any(queues):
        deltas.append(draw(st.sampled_from([q for q in queues if q])).pop(0))
    return deltas


@unhurried
@given(deltas=call_deltas())
def test_interleaved_calls_lose_nothing_and_never_overlap(deltas: list[dict[str, Any]]):
    chunks = [chunk(id_="c", model="m", delta=delta) for delta in deltas]
    dialect = MessagesDialect()
    writer = dialect.events()
    raw = b"".join([e for one in chunks for e in writer.write(one)] + [*writer.end()])
    events = [json.loads(event.data) for event in SseDecoder().feed(raw)]
    is_open = False
    for event in events:
        if event["type"] == "content_block_start":
            assert not is_open
            is_open = True
        elif event["type"] == "content_block_stop":
            is_open = False
    told = folded(events)["content"]
    whole = dialect.body(fold(chunks))["content"]
    by_id = {"key": lambda block: block["id"]}
    calls = [block for block in told if block["type"] == "tool_use"]
    assert sorted(calls, **by_id) == [b for b in whole if b["type"] == "tool_use"]
    words = "".join(block["text"] for block in told if block["type"] == "text")
    assert words == "".join(block["text"] for block in whole if block["type"] == "text")


marks = st.sampled_from([{}, {}, {"cache_control": {"type": "ephemeral"}}])
text_blocks = st.builds(lambda t, mark: {"type": "text", "text": t, **mark}, texts, marks)
image_blocks = st.sampled_from(
    [
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": "aGk="},
        },
    ]
)
documents = st.builds(
    lambda title: {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
        "title": title,
    },
    texts,
)
thoughts = st.sampled_from(
    [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "ZGF0YQ=="},
    ]
)


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Turns in alternation, each call answered, blocks in the order Anthropic asks for."""
    turns: list[dict[str, Any]] = []
    calls: list[str] = []
    for number in range(draw(st.integers(1, 3))):
        results = [
            {
                "type": "tool_result",
                "tool_use_id": call,
                "content": draw(st.lists(text_blocks | image_blocks, min_size=1, max_size=2)),
                **draw(st.sampled_from([{}, {"is_error": True}])),
            }
            for call in calls
        ]
        said = draw(st.lists(text_blocks | image_blocks | documents, min_size=1, max_size=3))
        turns.append({"role": "user", "content": [*results, *said]})
        calls = [f"toolu_{number}_{at}" for at in range(draw(st.integers(0, 2)))]
        answered = [
            *draw(st.lists(thoughts, max_size=1)),
            *draw(st.lists(text_blocks, min_size=0 if calls else 1, max_size=2)),
            *(
                {"type": "tool_use", "id": call, "name": "f", "input": draw(arguments)}
                for call in calls
            ),
        ]
        if calls or draw(st.booleans()):
            turns.append({"role": "assistant", "content": answered})
        else:
            break
    if calls:
        results = [{"type": "tool_result", "tool_use_id": call} for call in calls]
        turns.append({"role": "user", "content": results})
    # A last turn of the assistant is trimmed at its end.
    assume(turns[-1]["role"] == "user")
    return turns


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """A request that chat can say as well."""
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    tool = {"name": "f", "description": "does f", "input_schema": schema, "strict": True}
    choice = draw(
        st.sampled_from([None, {"type": "any"}, {"type": "tool", "name": "f"}, {"type": "none"}])
    )
    optional = {
        "system": draw(st.none() | texts | st.lists(text_blocks, min_size=1, max_size=2)),
        "stop_sequences": draw(st.none() | st.lists(texts, min_size=1, max_size=2)),
        "top_k": draw(st.none() | st.integers(1, 9)),
        "metadata": draw(st.none() | st.just({"user_id": "u-1"})),
        "stream": draw(st.sampled_from([None, True])),
        "tool_choice": choice,
        "output_config": draw(
            st.none() | st.just({"format": {"type": "json_schema", "schema": schema}})
        ),
        **draw(st.sampled_from([{}, {"temperature": 0.5}, {"top_p": 0.5}])),
    }
    said = {name: value for name, value in optional.items() if value is not None}
    turns = draw(conversations())
    return {"model": "m", "max_tokens": 9, "messages": turns, "tools": [tool], **said}


@unhurried
@given(request=requests())
def test_a_request_loses_nothing_on_its_way_through_chat(request: dict[str, Any]):
    """Put as chat and from there to Anthropic, it says what it says when it is passed through."""
    ask = read_messages(json.dumps(request).encode())
    before = copy.deepcopy(ask.fields)
    check_request(dict(ask.chat.fields))
    direct = ask.exchange(WIDE, Obligations(), created=1).request
    through = translator_for(ProviderKind.ANTHROPIC).request(ask.chat, WIDE)
    assert ask.fields == before == request
    assert (direct.url, direct.headers) == (through.url, through.headers)
    assert _said(json.loads(through.body)) == _said(json.loads(direct.body))


def _said(body: dict[str, Any]) -> dict[str, Any]:
    """A request in one of the ways in which Anthropic lets the same be written."""
    system = body.get("system")
    if isinstance(system, list) and not any("cache_control" in block for block in system):
        body["system"] = "\n\n".join(block["text"] for block in system)
    for turn in body["messages"]:
        if isinstance(turn["content"], str):
            turn["content"] = [{"type": "text", "text": turn["content"]}]
    return body


@pytest.mark.parametrize("kind", list(ProviderKind))
@unhurried
@given(request=requests())
def test_putting_a_request_changes_nothing_and_gives_the_same_bytes_twice(
    kind: ProviderKind, request: dict[str, Any]
):
    """The same request may be put to the next deployment."""
    ask = read_messages(json.dumps(request).encode())
    before = copy.deepcopy((ask.fields, ask.chat.fields))
    deployment = Deployment(
        "d", kind, "claude-sonnet-4-5", "https://bedrock-runtime.eu-west-1.amazonaws.com"
    )
    sent: list[bytes] = []
    for _ in range(2):
        with suppress(RequestError):
            sent.append(ask.exchange(deployment, Obligations(), created=1).request.body)
        assert (ask.fields, ask.chat.fields) == before
    assert len(set(sent)) <= 1


@unhurried
@given(request=requests())
def test_the_estimate_counts_every_word_that_is_sent(request: dict[str, Any]):
    """Counting characters: no text of the request may be missing from its estimate."""
    estimate = read_messages(json.dumps(request).encode()).prompt_tokens(len)
    assert estimate >= sum(map(len, _texts(request["messages"]))) + sum(
        map(len, _texts(request.get("system")))
    )


def _texts(value: object) -> list[str]:
    if isinstance(value, dict):
        if value.get("type") == "text":
            return [value["text"]]
        return [text for inner in value.values() for text in _texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner)]
    return []


names = st.sampled_from(
    [
        *("model", "messages", "max_tokens", "system", "tools", "tool_choice", "thinking"),
        *("type", "role", "content", "text", "source", "id", "name", "input", "input_schema"),
        *("metadata", "output_config", "format", "cache_control", "context_management", "edits"),
    ]
)
words = st.sampled_from(
    ["user", "assistant", "text", "image", "document", "tool_use", "tool_result", "thinking"]
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | words | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5),
    max_leaves=15,
)


@unhurried
@given(fields=st.dictionaries(names, anything, max_size=6), blocks=st.lists(anything, max_size=3))
def test_nonsense_is_refused_in_so_many_words(fields: dict[str, Any], blocks: list[Any]):
    turns = [{"role": "user", "content": blocks}, {"role": "assistant", "content": blocks}]
    for body in (fields, {"model": "m", "max_tokens": 9, "messages": turns, **fields}):
        try:
            ask = read_messages(json.dumps(body).encode())
            ask.prompt_tokens(len)
            for kind in ProviderKind:
                with suppress(GatewayError):
                    ask.exchange(replace(WIDE, provider=kind), Obligations(), created=1)
        except RequestError as refused:
            assert refused.param or isinstance(refused, MalformedRequest)  # noqa: PT017


@unhurried
@given(text=texts, given_=st.lists(arguments, max_size=2))
def test_a_whole_answer_and_its_replay_are_the_same(text: str, given_: list[dict[str, Any]]):
    calls = [
        {
            "id": f"c{at}",
            "type": "function",
            "function": {"name": "f", "arguments": json.dumps(one)},
        }
        for at, one in enumerate(given_)
    ]
    message = {"role": "assistant", "content": text, "reasoning_content": "hm"}
    completion = {
        "id": "x",
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {**message, "tool_calls": calls},
                "finish_reason": "tool_calls" if calls else "stop",
            }
        ],
    }
    dialect = MessagesDialect()
    body = dialect.body(completion)
    writer = dialect.events()
    events = [event for one in chunks_of(completion) for event in writer.write(one)]
    assert message_told(b"".join([*events, *writer.end()])) == body
    assert message_told(b"".join(read_messages(HELLO).replayed(body))) == body
