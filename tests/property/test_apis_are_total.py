"""Whatever a client or a provider sends: an answer or an error of ours, and nothing else."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_core.apis.ask import Ask, Exchange
from llm_core.apis.registry import read_ask
from llm_core.apis.support import SAMPLES
from llm_core.catalogue import Deployment, ProviderKind
from llm_core.errors import ProviderError, RequestError, error_body
from llm_core.operation import Operation
from llm_core.policy.decision import Obligations
from tests.golden.cases import Case, all_cases

CASES = all_cases()
CHATS = [Operation.CHAT_COMPLETIONS, Operation.RESPONSES, Operation.MESSAGES, Operation.COMPLETIONS]

# Machines that build are shared: how long one example takes says nothing.
unhurried = settings(
    deadline=None,
    max_examples=1_000,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def nested(depth: int, wrap: Callable[[Any], Any]) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = wrap(value)
    return value


ODD: list[Any] = [
    *(None, True, False, 0, -1, 2**31, 2**64, 10**30, 1.5, 1e308, 5e-324),
    *("", " ", "x", "\x00", "\n\n", "\u2028", "\U0001f600", "a" * 3000),
    *([], [[]], [None], [""], [{}], {}, {"": ""}, {"type": None}, {"type": []}, ["a", 1, None]),
    *("{", "{}", "null", '{"a":1e400}', '{"a":' + "9" * 5000 + "}", "9" * 5000, "[DONE]"),
    *("data:image/png;base64,", "data:", "http://[", "https://example.com/a.png"),
    *("gatehouse-thoughts-1.", "gatehouse-thoughts-1.é", "gatehouse1.", "gatehouse1.e30"),
    *("auto", "none", "required", "user", "assistant", "tool", "text", "enabled", "function"),
    nested(400, lambda inner: [inner]),
    nested(100, lambda inner: [inner]),
    nested(40, lambda inner: {"type": "object", "properties": {"a": inner}}),
    nested(200, lambda inner: {"type": "object", "properties": {"a": inner}}),
    nested(20, lambda inner: {"type": ["object", "array"], "properties": {"a": inner}}),
]
_MOST_DEPTH = 12


def copied(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


odd = st.sampled_from(ODD).map(copied)

PIXEL = "data:image/png;base64,iVBORw0KGgo="
PDF = "data:application/pdf;base64,JVBERi0="
SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "enum": ["a"], "format": "date"},
        "of": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/q"}]},
        "list": {"type": ["array", "null"], "items": {"type": "number", "minimum": 1}},
    },
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {"q": {"type": "integer"}},
}
TOOL = {"type": "function", "function": {"name": "f", "parameters": SCHEMA, "strict": True}}
CALL = {"id": "c.1", "type": "function", "function": {"name": "f", "arguments": '{"n":1}'}}
THOUGHTS = [
    {"type": "thinking", "thinking": "t", "signature": "s"},
    {"type": "redacted_thinking", "data": "d", "model": "bedrock"},
    {"type": "thinking", "thinking": [{"type": "text", "text": "z"}], "model": "magistral"},
]


def _said(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


_CHAT: list[dict[str, Any]] = [
    {
        "messages": [
            {"role": "system", "content": "s"},
            _said(
                {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}},
                {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
                {"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}},
                {"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}},
            ),
            _said({"type": "input_audio", "input_audio": {"data": "aa", "format": "wav"}}),
        ]
    },
    {
        "messages": [
            {"role": "user", "content": "q", "name": "bob"},
            {
                "role": "assistant",
                "content": "",
                "refusal": "no",
                "reasoning_content": "why",
                "thinking_blocks": THOUGHTS,
                "tool_calls": [{**CALL, "extra_content": {"google": {"thought_signature": "q"}}}],
            },
            {"role": "tool", "tool_call_id": "c.1", "content": [{"type": "text", "text": "[]"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "prefill "}]},
        ],
        "tools": [TOOL, {"type": "custom", "custom": {"name": "c"}}],
        "tool_choice": {
            "type": "allowed_tools",
            "allowed_tools": {"mode": "auto", "tools": [TOOL]},
        },
        "parallel_tool_calls": False,
    },
    {
        "messages": [{"role": "user", "content": "q"}],
        "tools": [TOOL],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "p", "schema": SCHEMA}},
        "stream": True,
        "stream_options": {"include_usage": True},
        "reasoning_effort": "low",
        "stop": ["a", " "],
        "temperature": 1.5,
        "top_p": 0.5,
        "seed": 7,
        "n": 1,
        "max_tokens": 9,
        "user": "u",
        "metadata": {"user_id": "x"},
        "logit_bias": {"1": 2},
        "service_tier": "auto",
        "drop_params": True,
        "modalities": ["text"],
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "output_config": {"effort": "low"},
        "safety_settings": [{}],
        "thinking_config": {"thinking_budget": 3},
        "additionalModelRequestFields": {"top_k": 3},
    },
]
_RESPONSES: list[dict[str, Any]] = [
    {
        "instructions": "i",
        "input": [
            _said(
                {"type": "input_text", "text": "x"},
                {"type": "input_image", "image_url": PIXEL},
                {"type": "input_file", "file_data": PDF, "filename": "a.pdf"},
            ),
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "s"}]},
            {
                "type": "message",
                "role": "assistant",
                "content": [
                    {"type": "output_text", "text": "o"},
                    {"type": "refusal", "refusal": "r"},
                ],
            },
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "x"},
            {"type": "reasoning", "encrypted_content": "zzz", "summary": []},
        ],
        "tools": [{"type": "function", "name": "f", "parameters": SCHEMA, "strict": True}],
        "tool_choice": {"type": "function", "name": "f"},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}},
        "reasoning": {"effort": "low", "summary": "auto"},
        "max_output_tokens": 77,
        "include": ["message.output_text.logprobs"],
        "truncation": "auto",
        "stream": True,
        "metadata": {"a": "b"},
    }
]
_MESSAGES: list[dict[str, Any]] = [
    {
        "max_tokens": 5000,
        "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            _said(
                {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
                {
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": "zz"},
                    "title": "t",
                },
            ),
            {
                "role": "assistant",
                "content": [
                    *THOUGHTS[:2],
                    {"type": "tool_use", "id": "t.1", "name": "f", "input": {"city": "a"}},
                ],
            },
            _said({"type": "tool_result", "tool_use_id": "t.1", "is_error": True, "content": "r"}),
            {"role": "system", "content": "mid"},
            {"role": "assistant", "content": "pre"},
        ],
        "tools": [{"name": "f", "input_schema": SCHEMA, "strict": True}],
        "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        "thinking": {"type": "enabled", "budget_tokens": 2048},
        "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": SCHEMA}},
        "stop_sequences": ["a"],
        "metadata": {"user_id": "u"},
        "stream": True,
    },
    {
        "max_tokens": 9,
        "messages": [
            _said(
                {
                    "type": "search_result",
                    "source": "s",
                    "title": "t",
                    "content": [{"type": "text", "text": "x"}],
                }
            )
        ],
        "context_management": {"edits": [{"type": "clear_thinking_20251015"}]},
    },
]
REQUESTS: list[tuple[Operation, dict[str, Any]]] = [
    *((Operation.CHAT_COMPLETIONS, one) for one in _CHAT),
    *((Operation.RESPONSES, one) for one in _RESPONSES),
    *((Operation.MESSAGES, one) for one in _MESSAGES),
    (Operation.COMPLETIONS, {"prompt": ["a", "b"], "n": 2, "logprobs": 2, "best_of": 1}),
    (Operation.COMPLETIONS, {"prompt": [[1], [2]], "suffix": "z", "stream": True}),
    (Operation.EMBEDDINGS, {"input": ["a"], "dimensions": 5, "encoding_format": "base64"}),
    (Operation.EMBEDDINGS, {"input": [[1], [2]], "input_type": "search_query"}),
]
_HELLO: dict[Operation, dict[str, Any]] = {
    Operation.CHAT_COMPLETIONS: {"messages": [{"role": "user", "content": "h"}]},
    Operation.RESPONSES: {"input": "h", "reasoning": {"summary": "auto"}},
    Operation.MESSAGES: {"max_tokens": 9, "messages": [{"role": "user", "content": "h"}]},
    Operation.COMPLETIONS: {"prompt": "h"},
}
_NATIVE = (Operation.COMPLETIONS, Operation.RESPONSES)
DEPLOYMENTS: list[Deployment] = [
    *SAMPLES.values(),
    *(
        replace(SAMPLES[kind], native_operations=_NATIVE)
        for kind in (ProviderKind.OPENAI, ProviderKind.OPENAI_COMPATIBLE)
    ),
    replace(SAMPLES[ProviderKind.OPENAI_COMPATIBLE], vendor="groq"),
    replace(SAMPLES[ProviderKind.BEDROCK], model="amazon.nova-pro-v1:0"),
    replace(SAMPLES[ProviderKind.MISTRAL], model="magistral-medium-latest"),
]

# What OpenAI and its imitators can say, and no golden case has all of.
_ANSWERS: list[dict[str, Any]] = [
    {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "x",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "hi",
                    "refusal": "r",
                    "reasoning": "z",
                    "thinking_blocks": THOUGHTS[:1],
                    "tool_calls": [CALL, {"id": "d", "type": "custom", "custom": {"name": "g"}}],
                    "function_call": {"name": "f", "arguments": "x"},
                },
                "logprobs": {"content": [{"token": "a", "logprob": -1, "bytes": [1]}]},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    },
    {
        "id": "t",
        "object": "text_completion",
        "choices": [
            {
                "text": "a",
                "index": 0,
                "logprobs": {"tokens": ["a"], "top_logprobs": [{"a": 1}]},
                "finish_reason": "stop",
            }
        ],
    },
    {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "x",
        "output": [
            {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "s"}]},
            {"type": "message", "id": "m", "content": [{"type": "output_text", "text": "t"}]},
            {"type": "function_call", "call_id": "c", "name": "n", "arguments": "{}"},
        ],
        "usage": {"input_tokens": 1, "output_tokens": 2},
    },
]
BODIES = [*(json.loads(case.whole) for case in CASES if case.whole is not None), *_ANSWERS]
STREAMS = [case.stream for case in CASES if case.stream is not None and not case.has_framed_stream]
ERRORS: list[dict[str, Any]] = [
    {"error": {"message": "m", "type": "t", "code": "c", "param": "p"}},
    {"type": "error", "error": {"type": "overloaded_error", "message": "x"}},
    {"error": {"code": 400, "status": "INVALID", "details": [{"retryDelay": "3s"}]}},
    {"detail": [{"loc": ["a", "b"], "msg": "m"}]},
    {"message": "m"},
]


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to everything in a JSON value, but to the value itself."""
    if len(at) > _MOST_DEPTH or not isinstance(value, dict | list):
        return []
    names = list(value) if isinstance(value, dict) else list(range(len(value)))
    return [path for name in names for path in [(*at, name), *places(value[name], (*at, name))]]


@st.composite
def mutated(draw: st.DrawFn, source: Any) -> Any:
    """A JSON value with some members replaced, left out, or added."""
    value = copied(source)
    for _ in range(draw(st.integers(1, 3))):
        found = places(value)
        if not found:
            break
        path = draw(st.sampled_from(found))
        owner = value
        for name in path[:-1]:
            owner = owner[name]
        how = draw(st.integers(0, 9))
        if how == 0:
            del owner[path[-1]]
        elif how == 1 and isinstance(owner, list):
            owner.insert(path[-1], draw(odd))
        elif how == 1:
            name = draw(st.sampled_from(["type", "index", "content", "id", "error", "usage", "x"]))
            owner[name] = draw(odd)
        else:
            owner[path[-1]] = draw(odd)
    return value


def asked(operation: Operation, fields: Any) -> Ask:
    return read_ask(operation, msgspec.json.encode({"model": "m", **fields}))


def exchanged(operation: Operation, deployment: Deployment, *, streams: bool) -> Exchange | None:
    hello = asked(operation, {**_HELLO[operation], "stream": streams})
    try:
        return hello.exchange(deployment, Obligations(), created=1)
    except RequestError:
        return None


@unhurried
@given(data=st.data(), limit=st.sampled_from([None, 50]))
def test_a_request_is_refused_or_put_to_any_provider(data: st.DataObject, limit: int | None):
    operation, fields = data.draw(st.sampled_from(REQUESTS))
    try:
        ask = asked(operation, data.draw(mutated(fields)))
        assert ask.prompt_tokens(len) >= 0
    except RequestError as refused:
        msgspec.json.encode(error_body(refused))
        return
    before = msgspec.json.encode(ask.fields)
    for deployment in DEPLOYMENTS:
        try:
            made = ask.exchange(deployment, Obligations(max_output_tokens=limit), created=1)
        except RequestError as refused:
            msgspec.json.encode(error_body(refused))
        else:
            assert isinstance(json.loads(made.request.body), dict)
            made.request.url.encode("ascii")
    assert msgspec.json.encode(ask.fields) == before


@unhurried
@given(
    text=st.sampled_from(['"\\ud800"', '"\\udc00x"', "1e400", "NaN", "-", "1" * 5000, "01", '"']),
    operation=st.sampled_from(sorted(_HELLO)),
)
def test_what_json_cannot_say_is_refused(text: str, operation: Operation):
    body = msgspec.json.encode({"model": "m", **_HELLO[operation], "user": 77_777_777})
    with pytest.raises(RequestError):
        read_ask(operation, body.replace(b"77777777", text.encode()))


@unhurried
@given(data=st.data(), operation=st.sampled_from(CHATS), deployment=st.sampled_from(DEPLOYMENTS))
def test_a_whole_answer_is_told_or_an_error(
    data: st.DataObject, operation: Operation, deployment: Deployment
):
    made = exchanged(operation, deployment, streams=False)
    if made is None:
        return
    try:
        answer = made.answer(
            msgspec.json.encode(data.draw(mutated(data.draw(st.sampled_from(BODIES)))))
        )
    except ProviderError:
        return
    msgspec.json.encode(answer.body)
    assert all(isinstance(text, str) for text in answer.texts)
    assert answer.served_model is None or isinstance(answer.served_model, str)
    hello = asked(operation, {**_HELLO[operation], "stream": True})
    assert all(isinstance(event, bytes) for event in hello.replayed(answer.body))


@unhurried
@given(
    data=st.data(),
    operation=st.sampled_from(CHATS),
    deployment=st.sampled_from(DEPLOYMENTS),
    is_kept=st.booleans(),
)
def test_a_stream_is_told_or_ends_in_an_error(
    data: st.DataObject, operation: Operation, deployment: Deployment, is_kept: bool
):
    made = exchanged(operation, deployment, streams=True)
    if made is None:
        return
    received = damaged(data, data.draw(st.sampled_from(STREAMS)))
    middle = data.draw(st.integers(0, len(received)))
    stream = made.stream(is_kept=is_kept)
    events: list[bytes] = []
    try:
        events += stream.feed(received[:middle])
        events += stream.feed(received[middle:])
        events += stream.finish()
    except ProviderError as failure:
        events.append(stream.failed(failure))
    assert all(isinstance(event, bytes) for event in events)
    "".join(stream.texts()).encode()
    assert stream.served_model is None or isinstance(stream.served_model, str)
    kept = stream.folded()
    if kept is not None:
        msgspec.json.encode(kept)


def damaged(data: st.DataObject, stream: bytes) -> bytes:
    """A stream in which one event says something else."""
    lines = stream.decode().replace("\r\n", "\n").split("\n")
    told = [at for at, line in enumerate(lines) if line.startswith("data: {")]
    if not told:
        return stream
    at = data.draw(st.sampled_from(told))
    said = data.draw(mutated(json.loads(lines[at].removeprefix("data: "))))
    lines[at] = "data: " + msgspec.json.encode(said).decode()
    return "\n".join(lines).encode()


@unhurried
@given(
    data=st.data(),
    deployment=st.sampled_from(DEPLOYMENTS),
    status=st.sampled_from([99, 200, 400, 401, 404, 429, 500, 503, 529, 1000]),
    wait=st.sampled_from(["1", "x", "1e400", "-1", "nan", "9" * 400, ""]),
)
def test_an_error_is_an_error_whatever_it_says(
    data: st.DataObject, deployment: Deployment, status: int, wait: str
):
    made = exchanged(Operation.CHAT_COMPLETIONS, deployment, streams=False)
    assert made is not None
    said = msgspec.json.encode(data.draw(mutated(data.draw(st.sampled_from(ERRORS)))))
    failure = made.failure(status, {"retry-after": wait, "date": "x"}, said)
    assert isinstance(failure, ProviderError)
    msgspec.json.encode(error_body(failure))


@pytest.mark.parametrize("case", [c for c in CASES if c.stream is not None], ids=lambda c: c.id)
def test_one_byte_at_a_time_tells_what_the_whole_stream_tells(case: Case):
    assert case.stream is not None
    told: list[list[bytes]] = []
    for size in (1, len(case.stream)):
        made = asked(Operation.MESSAGES, {**_HELLO[Operation.MESSAGES], "stream": True}).exchange(
            case.deployment, Obligations(), created=1
        )
        stream = made.stream()
        events: list[bytes] = []
        try:
            for start in range(0, len(case.stream), size):
                events += stream.feed(case.stream[start : start + size])
            events += stream.finish()
        except ProviderError as failure:
            events.append(stream.failed(failure))
        told.append(events)
    assert told[0] == told[1]
