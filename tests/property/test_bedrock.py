"""What must hold for Bedrock's streams, whatever is said and however they are cut."""

import copy
import json
from contextlib import suppress
from itertools import pairwise
from typing import Any

import msgspec
from botocore.eventstream import EventStreamBuffer, ParserError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_core.catalogue import Deployment, ProviderKind
from llm_core.chat.chunk import fold
from llm_core.chat.request import ChatRequest
from llm_core.errors import ProviderError
from llm_core.providers.bedrock import BedrockTranslator
from llm_core.providers.bedrock.event_stream import EventStreamDecoder, encode_message

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

texts = st.text(min_size=1, max_size=20)
arguments = st.dictionaries(texts, st.integers() | texts | st.booleans(), max_size=3)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
usages = st.fixed_dictionaries(
    {
        "inputTokens": st.integers(0, 10**6),
        "cacheReadInputTokens": st.integers(0, 10**6),
        "cacheWriteInputTokens": st.integers(0, 10**6),
        "outputTokens": st.integers(1, 10**6),
    }
)


@st.composite
def blocks(draw: st.DrawFn) -> list[dict[str, Any]]:
    """The content of an answer: reasoning, then text, then calls."""
    content: list[dict[str, Any]] = []
    for thought in draw(st.lists(texts, max_size=2)):
        signed = {"text": thought, "signature": "c2ln"}
        content.append({"reasoningContent": {"reasoningText": signed}})
    if draw(st.booleans()):
        content.append({"reasoningContent": {"redactedContent": "cmVkYWN0ZWQ="}})
    content += [{"text": text} for text in draw(st.lists(texts, max_size=2))]
    for number, given_ in enumerate(draw(st.lists(arguments, max_size=3))):
        call = {"toolUseId": f"tooluse_{number}", "name": f"tool_{number}", "input": given_}
        content.append({"toolUse": call})
    return content


answers = st.fixed_dictionaries(
    {
        "output": st.fixed_dictionaries({"message": st.fixed_dictionaries({"content": blocks()})}),
        "stopReason": st.sampled_from(["end_turn", "max_tokens", "tool_use", "content_filtered"]),
        "usage": usages,
    }
)


@unhurried
@given(answer=answers, size=st.integers(1, 7), cuts=st.lists(st.integers(0, 3000), max_size=30))
def test_a_streamed_answer_adds_up_to_the_whole_one_however_it_is_cut(
    answer: dict[str, Any], size: int, cuts: list[int]
):
    whole = BedrockTranslator().response(json.dumps(answer).encode())
    reader = BedrockTranslator().stream(hello())
    stream = as_stream(answer, size)
    chunks = [chunk for part in cut(stream, cuts) for chunk in reader.feed(part)]
    chunks += reader.finish()
    assert fold(chunks) == whole.body
    assert reader.usage == whole.usage
    assert reader.is_complete


@unhurried
@given(
    messages=st.lists(st.tuples(st.dictionaries(names, texts, max_size=4), st.binary(max_size=50))),
    cuts=st.lists(st.integers(0, 500), max_size=20),
    damage=st.none() | st.tuples(st.integers(0, 500), st.integers(1, 255)),
)
def test_our_decoder_and_the_vendor_s_agree_on_every_stream_and_on_every_damage(
    messages: list[tuple[dict[str, str], bytes]],
    cuts: list[int],
    damage: tuple[int, int] | None,
):
    stream = bytearray(b"".join(encode_message(*message) for message in messages))
    if damage is not None and damage[0] < len(stream):
        stream[damage[0]] ^= damage[1]
    theirs, is_broken = by_the_vendor(bytes(stream))
    decoder = EventStreamDecoder()
    ours = [message for part in cut(bytes(stream), cuts) for message in decoder.feed(part)]
    assert [(message.headers, message.payload) for message in ours] == theirs
    assert (decoder.fault is not None) == is_broken


@unhurried
@given(stream=st.binary(max_size=200), at=st.integers(0, 200))
def test_nonsense_is_an_error_of_the_provider_and_nothing_else(stream: bytes, at: int):
    reader = BedrockTranslator().stream(hello())
    framed = encode_message({":message-type": "event", ":event-type": "messageStop"}, stream)
    with suppress(ProviderError):
        for part in (framed[:at], framed[at:], stream):
            reader.feed(part)
        reader.finish()


@unhurried
@given(answer=answers)
def test_an_answer_sent_back_loses_nothing_and_translating_changes_nothing(
    answer: dict[str, Any],
):
    """A client appends the answer's message to its history; the model gets its own words back."""
    said = BedrockTranslator().response(json.dumps(answer).encode()).body["choices"][0]["message"]
    fields = {"model": "m", "messages": [{"role": "user", "content": "hi"}, said]}
    request = ChatRequest.parse(json.dumps(fields).encode())
    before = copy.deepcopy(request.fields)
    model = "anthropic.claude-sonnet-4-5-20250929-v1:0"
    sent = json.loads(BedrockTranslator().request(request, deployed(model)).body)
    assert request.fields == before
    given_ = [block for block in answer["output"]["message"]["content"] if "text" not in block]
    turns = sent["messages"][1:]
    assert [b for turn in turns for b in turn["content"] if "text" not in b] == given_


def deployed(model: str) -> Deployment:
    return Deployment(id="d", provider=ProviderKind.BEDROCK, model=model, base_url="https://x")


def by_the_vendor(stream: bytes) -> tuple[list[tuple[Any, bytes]], bool]:
    buffer = EventStreamBuffer()
    buffer.add_data(stream)
    read: list[tuple[Any, bytes]] = []
    try:
        read.extend((message.headers, message.payload) for message in buffer)
    except ParserError:
        return read, True
    return read, False


def cut(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(c for c in cuts if c < len(stream)), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


def hello() -> ChatRequest:
    return ChatRequest(fields={"model": "m", "messages": [{"role": "user", "content": "hi"}]})


def as_stream(answer: dict[str, Any], size: int) -> bytes:
    events: list[tuple[str, dict[str, Any]]] = [("messageStart", {"role": "assistant"})]
    for index, block in enumerate(answer["output"]["message"]["content"]):
        place = {"contentBlockIndex": index}
        if "toolUse" in block:
            opened = {name: block["toolUse"][name] for name in ("toolUseId", "name")}
            events.append(("contentBlockStart", {"start": {"toolUse": opened}, **place}))
        events += [("contentBlockDelta", {"delta": d, **place}) for d in deltas(block, size)]
        events.append(("contentBlockStop", place))
    events.append(("messageStop", {"stopReason": answer["stopReason"]}))
    events.append(("metadata", {"usage": answer["usage"]}))
    return b"".join(
        encode_message(
            {":message-type": "event", ":event-type": kind}, json.dumps(document).encode()
        )
        for kind, document in events
    )


def deltas(block: dict[str, Any], size: int) -> list[dict[str, Any]]:
    def pieces(text: str) -> list[str]:
        return [text[start : start + size] for start in range(0, len(text), size)]

    match block:
        case {"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}}:
            thoughts = [{"reasoningContent": {"text": piece}} for piece in pieces(text)]
            return [*thoughts, {"reasoningContent": {"signature": signature}}]
        case {"reasoningContent": _}:
            return [block]
        case {"text": text}:
            return [{"text": piece} for piece in pieces(text)]
        case _:
            given_ = block["toolUse"]["input"]
            text = msgspec.json.encode(given_).decode() if given_ else ""
            return [{"toolUse": {"input": piece}} for piece in pieces(text)]
