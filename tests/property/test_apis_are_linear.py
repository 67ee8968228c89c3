"""Twice as much takes about twice as long: nothing that a caller or a provider sends is quadratic.

Each case is large enough that a quadratic way through it would take minutes; the limits are for
machines that are shared.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from llm_core.apis.registry import read_ask
from llm_core.apis.support import SAMPLES
from llm_core.catalogue import Deployment, ProviderKind
from llm_core.errors import RequestError
from llm_core.operation import Operation
from llm_core.policy.decision import Obligations
from llm_core.sse import encode_event

LIMIT_S = 20
HELLO: dict[Operation, dict[str, Any]] = {
    Operation.CHAT_COMPLETIONS: {"messages": [{"role": "user", "content": "h"}]},
    Operation.RESPONSES: {"input": "h"},
    Operation.MESSAGES: {"max_tokens": 9, "messages": [{"role": "user", "content": "h"}]},
    Operation.COMPLETIONS: {"prompt": "h"},
}
PDF = {"type": "file", "file": {"file_data": "data:application/pdf;base64,", "filename": "a"}}


@contextmanager
def in_time() -> Iterator[None]:
    began = time.perf_counter()
    yield
    assert time.perf_counter() - began < LIMIT_S


def tool(number: int) -> dict[str, Any]:
    return {"type": "function", "function": {"name": f"f{number}"}}


def allowed(count: int) -> dict[str, Any]:
    tools = [tool(number) for number in range(count)]
    chosen = {"mode": "auto", "tools": tools}
    return {"tools": tools, "tool_choice": {"type": "allowed_tools", "allowed_tools": chosen}}


LONG: dict[str, dict[str, Any]] = {
    "many messages": {"messages": [{"role": "user", "content": "x"}] * 50_000},
    "a long text": {"messages": [{"role": "user", "content": "x \\" * 1_000_000}]},
    "many parts": {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}] * 50_000}]
    },
    "many files of one name": {"messages": [{"role": "user", "content": [PDF] * 20_000}]},
    "many tools, all allowed": allowed(20_000),
    "many stops": {"stop": ["x"] * 100_000},
    "types in types": {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": {"type": ["object", "array"]}},
        }
    },
}
_schema = LONG["types in types"]["response_format"]["json_schema"]
for _ in range(40):
    _schema["schema"] = {"type": ["object", "array"], "properties": {"a": _schema["schema"]}}


@pytest.mark.parametrize("deployment", SAMPLES.values(), ids=lambda one: one.provider.value)
@pytest.mark.parametrize("name", LONG)
def test_a_large_request(name: str, deployment: Deployment):
    fields = {"model": "m", **HELLO[Operation.CHAT_COMPLETIONS], **LONG[name]}
    with in_time(), suppress(RequestError):
        read_ask(Operation.CHAT_COMPLETIONS, msgspec.json.encode(fields)).exchange(
            deployment, Obligations(), created=1
        )


def chat_stream(*deltas: dict[str, Any]) -> bytes:
    chunks = [{"id": "c", "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks.append({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    return b"".join(encode_event(msgspec.json.encode(chunk)) for chunk in chunks)


def arguing(piece: str) -> dict[str, Any]:
    return {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": piece}}]}


STREAMS = {
    "thoughts": chat_stream(*[{"reasoning_content": "x" * 20}] * 100_000),
    "text": chat_stream(*[{"content": "x" * 20}] * 100_000),
    "arguments": chat_stream(
        arguing('{"a":['), *[arguing('{"b":1},')] * 10_000, *[arguing('{"b":1} ,{"c":"}"}')] * 9_999
    ),
}


@pytest.mark.parametrize("operation", HELLO)
@pytest.mark.parametrize("name", STREAMS)
def test_a_long_stream(name: str, operation: Operation):
    server = replace(SAMPLES[ProviderKind.OPENAI_COMPATIBLE])
    fields = {"model": "m", **HELLO[operation], "stream": True}
    made = read_ask(operation, msgspec.json.encode(fields)).exchange(
        server, Obligations(), created=1
    )
    stream = made.stream(is_kept=True)
    with in_time():
        received = STREAMS[name]
        for start in range(0, len(received), 4_096):
            stream.feed(received[start : start + 4_096])
        stream.finish()
        assert stream.folded()


def test_a_stream_cut_into_single_bytes():
    made = read_ask(
        Operation.MESSAGES,
        msgspec.json.encode({"model": "m", **HELLO[Operation.MESSAGES], "stream": True}),
    ).exchange(SAMPLES[ProviderKind.OPENAI_COMPATIBLE], Obligations(), created=1)
    stream = made.stream()
    with in_time():
        for byte in chat_stream({"content": "x" * 1_000_000}):
            stream.feed(bytes([byte]))
        stream.finish()
