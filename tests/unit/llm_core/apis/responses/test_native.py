import json
from dataclasses import replace
from typing import Any

import pytest

from llm_core.apis.responses import read_responses
from llm_core.apis.responses.thoughts import sealed
from llm_core.catalogue import Deployment, ProviderKind
from llm_core.errors import ProviderError, ProviderUnavailable, UnsupportedParameter
from llm_core.operation import Operation
from llm_core.policy.decision import Obligations
from llm_core.sse import encode_event
from llm_core.tokens.usage import TokenUsage

OPENAI = Deployment("o", ProviderKind.OPENAI, "gpt-5", "https://o.test/v1", max_output_tokens=900)
AZURE = Deployment("a", ProviderKind.AZURE_OPENAI, "eu-chat", "https://a.test")
VLLM = Deployment(
    "v",
    ProviderKind.OPENAI_COMPATIBLE,
    "qwen",
    "http://v.test/v1",
    native_operations=(Operation.RESPONSES,),
)
USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 14,
}
TEXT = {"type": "output_text", "text": "Hello", "annotations": []}
MESSAGE = {"type": "message", "id": "msg_1", "role": "assistant", "content": [TEXT]}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "model": "gpt-5-2026",
    "output": [MESSAGE],
    "usage": USAGE,
}
TOKENS = TokenUsage(input_tokens=9, cached_input_tokens=4, output_tokens=5, reasoning_tokens=2)


def exchange(deployment: Deployment = OPENAI, most: int | None = None, **fields: Any) -> Any:
    body = {"model": "mini", "input": "hello there", **fields}
    ask = read_responses(json.dumps(body).encode())
    return ask.exchange(deployment, Obligations(max_output_tokens=most), created=1)


def sent(deployment: Deployment = OPENAI, most: int | None = None, **fields: Any) -> Any:
    return json.loads(exchange(deployment, most, **fields).request.body)


def event(kind: str, **members: Any) -> bytes:
    return encode_event(json.dumps({"type": kind, **members}).encode(), kind)


CREATED = event("response.created", response={**RESPONSE, "output": [], "usage": None})
ADDED = event("response.output_item.added", item={**MESSAGE, "content": []})
DELTA = event("response.output_text.delta", delta="Hello")
COMPLETED = event("response.completed", response=RESPONSE)


def test_a_request_goes_through_but_for_model_length_and_keeping():
    tool = {"type": "function", "name": "f", "parameters": {}, "strict": True}
    body = sent(tools=[tool], reasoning={"effort": "low"}, drop_params=False, truncation="auto")
    assert body == {
        "model": "gpt-5",
        "input": "hello there",
        "tools": [tool],
        "reasoning": {"effort": "low"},
        "truncation": "auto",
        "max_output_tokens": 900,
        "store": False,
    }


@pytest.mark.parametrize(("asked", "most", "told"), [(50, None, 50), (50, 20, 20), (5000, 99, 99)])
def test_the_longest_answer_is_never_longer_than_what_was_reserved(
    asked: int, most: int | None, told: int
):
    assert sent(max_output_tokens=asked, most=most)["max_output_tokens"] == told


@pytest.mark.parametrize(
    ("deployment", "url"),
    [
        (OPENAI, "https://o.test/v1/responses"),
        (AZURE, "https://a.test/openai/v1/responses"),
        (replace(AZURE, api_version="2024-10-21"), "https://a.test/openai/v1/responses"),
        (
            replace(AZURE, api_version="preview"),
            "https://a.test/openai/v1/responses?api-version=preview",
        ),
        (VLLM, "http://v.test/v1/responses"),
    ],
)
def test_every_server_is_asked_at_its_own_address(deployment: Deployment, url: str):
    assert exchange(deployment).request.url == url


def test_azure_gets_its_own_header():
    assert exchange(AZURE).credential_headers("k") == {"api-key": "k"}


def test_thoughts_that_openai_cannot_read_are_not_sent_to_it():
    own = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    ours = {**own, "encrypted_content": sealed([{"type": "thinking"}])}
    unsealed = {"type": "reasoning", "id": "rs_2", "summary": []}
    call = {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}
    items = [own, ours, unsealed, {**call, "extra_content": {"google": {}}}]
    assert sent(input=items)["input"] == [own, call]


def test_what_would_choose_another_model_is_refused():
    with pytest.raises(UnsupportedParameter):
        exchange(fallbacks=["other"])


def test_a_whole_answer_is_read_and_left_as_it_is():
    answer = exchange().answer(json.dumps(RESPONSE).encode())
    assert answer.body == RESPONSE
    assert answer.usage == TOKENS
    assert answer.served_model == "gpt-5-2026"
    assert list(answer.texts) == ["Hello"]


def test_an_answer_that_has_failed_is_the_providers_error():
    failed = {**RESPONSE, "status": "failed", "error": {"code": "server_error", "message": "x"}}
    with pytest.raises(ProviderError) as error:
        exchange().answer(json.dumps(failed).encode())
    assert error.value.http_status == 502


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"choices": []}'])
def test_nonsense_is_no_answer(raw: bytes):
    with pytest.raises(ProviderUnavailable):
        exchange().answer(raw)


def test_a_stream_is_passed_on_as_it_came_and_adds_up_to_its_last_event():
    stream = exchange(stream=True).stream()
    assert stream.feed(CREATED) == [CREATED]
    assert not stream.has_begun
    assert stream.feed(ADDED + DELTA) == [ADDED, DELTA]
    assert stream.has_begun
    assert list(stream.texts()) == ["Hello"]
    assert stream.folded() is None
    assert stream.feed(COMPLETED + b"data: [DONE]\n\n") == [COMPLETED]
    assert stream.finish() == []
    assert stream.usage == TOKENS
    assert stream.served_model == "gpt-5-2026"
    assert stream.folded() == RESPONSE


def test_events_without_names_get_them():
    stream = exchange(stream=True).stream()
    assert stream.feed(CREATED.split(b"\n", 1)[1]) == [CREATED]


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (event("error", code="server_error", message="x", param=None), 502),
        (event("error", error={"type": "invalid_request_error", "message": "x"}), 400),
        (event("error", code="rate_limit_exceeded", message="x"), 429),
        (
            event(
                "response.failed",
                response={**RESPONSE, "error": {"code": "invalid_prompt", "message": "x"}},
            ),
            400,
        ),
    ],
)
def test_an_error_comes_after_the_events_before_it(failure: bytes, status: int):
    stream = exchange(stream=True).stream()
    assert stream.feed(CREATED + DELTA + failure) == [CREATED, DELTA]
    with pytest.raises(ProviderError) as raised:
        stream.finish()
    assert raised.value.http_status == status
    told = json.loads(stream.failed(raised.value).split(b"data: ")[1])
    assert told["sequence_number"] == 2


def test_a_stream_that_breaks_off_is_not_called_whole():
    stream = exchange(stream=True).stream()
    stream.feed(CREATED + DELTA)
    with pytest.raises(ProviderUnavailable):
        stream.finish()


@pytest.mark.parametrize("cut", [CREATED, DELTA, COMPLETED])
def test_an_event_with_half_a_document_is_an_error(cut: bytes):
    stream = exchange(stream=True).stream()
    with pytest.raises(ProviderUnavailable):
        stream.feed(cut.rstrip()[:-4] + b"\n\n")


def test_an_incomplete_response_is_an_end_too():
    stream = exchange(stream=True).stream()
    stream.feed(event("response.incomplete", response={**RESPONSE, "status": "incomplete"}))
    assert stream.finish() == []
    assert stream.usage == TOKENS
