"""A streamed answer of Mistral's or Cohere's adds up to the whole one, whatever is said."""

import json
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_core.catalogue import ProviderKind
from llm_core.chat.chunk import fold
from llm_core.chat.request import ChatRequest
from llm_core.providers.registry import translator_for
from llm_core.sse import encode_event

# Machines that build are shared: how long one example takes says nothing.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

texts = st.text(min_size=1, max_size=20)
arguments = st.dictionaries(texts, st.integers() | texts | st.booleans(), max_size=3)
calls = st.lists(arguments, max_size=3)
sizes = st.integers(1, 7)
counts = st.integers(0, 10**6)


def pieces(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def parts_of(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(c for c in cuts if c < len(stream)), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


def check(
    kind: ProviderKind, whole: dict[str, Any], stream: bytes, cuts: list[int], choices: int = 1
) -> None:
    translator = translator_for(kind)
    request = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "n": choices}
    reader = translator.stream(ChatRequest(fields=request))
    chunks = [chunk for part in parts_of(stream, cuts) for chunk in reader.feed(part)]
    read = translator.response(json.dumps(whole).encode())
    assert fold([*chunks, *reader.finish()]) == read.body
    assert (reader.usage, reader.served_model) == (read.usage, read.served_model)
    assert reader.is_complete


@unhurried
@given(
    thinking=st.none() | texts,
    signature=st.none() | texts,
    text=st.none() | texts,
    calls=calls,
    finish=st.sampled_from(["stop", "length", "model_length", "tool_calls"]),
    tokens=st.tuples(counts, counts, st.none() | counts),
    size=sizes,
    cuts=st.lists(st.integers(0, 2_000), max_size=9),
)
def test_an_answer_of_mistral(
    *,
    thinking: str | None,
    signature: str | None,
    text: str | None,
    calls: list[dict[str, Any]],
    finish: str,
    tokens: tuple[int, int, int | None],
    size: int,
    cuts: list[int],
):
    usage: dict[str, Any] = {
        "prompt_tokens": tokens[0],
        "completion_tokens": tokens[1],
        "total_tokens": tokens[0] + tokens[1],
    }
    if tokens[2] is not None:
        usage["num_cached_tokens"] = tokens[2]
    made = [
        {"id": f"{index:09}", "function": {"name": f"f{index}", "arguments": json.dumps(given_)}}
        for index, given_ in enumerate(calls)
    ]
    envelope = {"id": "1", "created": 1, "model": "magistral"}
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    content: list[dict[str, Any]] = []
    if thinking is not None:
        signed = {} if signature is None else {"signature": signature}
        content.append({**_thought(thinking), **signed})
        deltas += [{"content": [_thought(piece)]} for piece in pieces(thinking, size)]
        deltas[-1]["content"][0] |= signed
    if text is not None:
        content.append({"type": "text", "text": text})
        deltas += [{"content": piece} for piece in pieces(text, size)]
    events = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    last = {"index": 0, "delta": {"tool_calls": made}, "finish_reason": finish}
    events.append({"choices": [last], "usage": usage})
    stream = b"".join(encode_event(json.dumps({**envelope, **e}).encode()) for e in events)
    message = {"role": "assistant", "content": content, "tool_calls": made}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    whole = {**envelope, "object": "chat.completion", "choices": [choice], "usage": usage}
    check(ProviderKind.MISTRAL, whole, stream + b"data: [DONE]\n\n", cuts)


@unhurried
@given(
    thinking=st.none() | texts,
    text=st.none() | texts,
    plan=st.none() | texts,
    calls=calls,
    finish=st.sampled_from(["COMPLETE", "STOP_SEQUENCE", "MAX_TOKENS", "TOOL_CALL"]),
    tokens=st.tuples(counts, counts),
    size=sizes,
    cuts=st.lists(st.integers(0, 2_000), max_size=9),
)
def test_an_answer_of_cohere(
    *,
    thinking: str | None,
    text: str | None,
    plan: str | None,
    calls: list[dict[str, Any]],
    finish: str,
    tokens: tuple[int, int],
    size: int,
    cuts: list[int],
):
    usage = {"billed_units": {"input_tokens": tokens[0], "output_tokens": tokens[1]}}
    blocks = [
        {"type": kind, kind: said}
        for kind, said in (("thinking", thinking), ("text", text))
        if said is not None
    ]
    citations = [{"start": 0, "end": 1, "text": "x"}] if text else []
    events: list[dict[str, Any]] = [{"type": "message-start", "id": "1", "delta": {"message": {}}}]
    for index, block in enumerate(blocks):
        events += _content(index, block, size)
    events += [_event("tool-plan-delta", tool_plan=piece) for piece in pieces(plan or "", size)]
    made = []
    for index, given_ in enumerate(calls):
        written = json.dumps(given_) if given_ else "null"
        made.append(_call(index, written))
        events.append({"index": index, **_event("tool-call-start", tool_calls=_call(index, ""))})
        events += [
            {
                "index": index,
                **_event("tool-call-delta", tool_calls={"function": {"arguments": piece}}),
            }
            for piece in pieces(written, size)
        ]
        events.append({"type": "tool-call-end", "index": index})
    events += [_event("citation-start", citations=one) for one in citations]
    delta = {"finish_reason": finish, "usage": usage}
    events.append({"type": "message-end", "delta": delta})
    stream = b"".join(encode_event(json.dumps(e).encode(), e["type"]) for e in events)
    message = {
        "role": "assistant",
        "content": blocks,
        "tool_plan": plan,
        "tool_calls": made,
        "citations": citations,
    }
    whole = {"id": "1", "message": message, "finish_reason": finish, "usage": usage}
    check(ProviderKind.COHERE, whole, stream + b"data: [DONE]\n\n", cuts)


def _thought(text: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}


def _event(kind: str, **said: Any) -> dict[str, Any]:
    return {"type": kind, "delta": {"message": said}}


def _content(index: int, block: dict[str, Any], size: int) -> list[dict[str, Any]]:
    kind = block["type"]
    opened = _event("content-start", content={"type": kind, kind: ""})
    filled = [_event("content-delta", content={kind: p}) for p in pieces(block[kind], size)]
    closed = {"type": "content-end", "index": index}
    return [{"index": index, **event} for event in (opened, *filled)] + [closed]


def _call(index: int, written: str) -> dict[str, Any]:
    function = {"name": f"f{index}", "arguments": written}
    return {"id": f"c{index}", "type": "function", "function": function}
