import json
from typing import Any

import pytest

from llm_core.catalogue import ProviderKind
from llm_core.chat.chunk import fold
from llm_core.chat.request import ChatRequest
from llm_core.errors import ProviderError, ProviderUnavailable
from llm_core.providers.registry import translator_for
from llm_core.tokens.usage import TokenUsage

MISTRAL = translator_for(ProviderKind.MISTRAL)
HELLO = ChatRequest(fields={"model": "m", "messages": [{"role": "user", "content": "hi"}]})
THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}], "signature": "s1"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def answer(message: Any, finish: str = "stop", usage: Any = None) -> bytes:
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return json.dumps({"id": "1", "model": "m", "choices": [choice], "usage": usage}).encode()


def chunk(delta: Any, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    event = {"id": "1", "model": "m", "choices": [choice], **more}
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def test_signed_reasoning_is_kept_whole_and_streamed_alike():
    said = [THOUGHT, {"type": "reference", "reference_ids": [1]}, {"type": "text", "text": "A"}]
    whole = MISTRAL.response(answer({"content": said}, usage=USAGE)).body
    message = whole["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"]) == ("A", "hm")
    assert message["thinking_blocks"] == [{**THOUGHT, "model": "m"}]
    reader = MISTRAL.stream(HELLO)
    chunks = reader.feed(
        chunk({"content": [THOUGHT]})
        + chunk({"content": [{"type": "text", "text": "A"}]})
        + chunk({}, "stop", usage=USAGE)
    )
    assert fold([*chunks, *reader.finish()]) == whole


@pytest.mark.parametrize(
    ("arguments", "text"), [('{"a":1}', '{"a":1}'), ({"a": 1}, '{"a":1}'), (None, "{}")]
)
def test_arguments_are_text_whatever_they_were(arguments: Any, text: str):
    call = {"id": "abcdefghi", "function": {"name": "f", "arguments": arguments}}
    body = MISTRAL.response(answer({"content": "", "tool_calls": [call]}, "tool_calls")).body
    message = body["choices"][0]["message"]
    assert message["content"] is None
    assert message["tool_calls"][0]["type"] == "function"
    assert message["tool_calls"][0]["function"]["arguments"] == text


@pytest.mark.parametrize(
    ("finish", "reads"), [("model_length", "length"), ("length", "length"), ("new", "stop")]
)
def test_a_reason_to_end_is_openais(finish: str, reads: str):
    assert MISTRAL.response(answer({}, finish)).body["choices"][0]["finish_reason"] == reads


def test_an_answer_that_ended_in_an_error_is_one():
    with pytest.raises(ProviderUnavailable):
        MISTRAL.response(answer({"content": "half"}, "error"))
    reader = MISTRAL.stream(HELLO)
    assert len(reader.feed(chunk({"content": "half"}) + chunk({}, "error"))) == 1
    with pytest.raises(ProviderError):
        reader.finish()
    assert not reader.is_complete


@pytest.mark.parametrize(
    "cached",
    [
        {"prompt_tokens_details": {"cached_tokens": 2}, "num_cached_tokens": 9},
        {"num_cached_tokens": 2},
        {"prompt_token_details": {"cached_tokens": 2}},
    ],
    ids=str,
)
def test_cached_tokens_are_found_under_each_of_their_names(cached: dict[str, Any]):
    usage = MISTRAL.response(answer({}, usage={**USAGE, **cached})).usage
    assert usage == TokenUsage(input_tokens=3, cached_input_tokens=2, output_tokens=2)


def test_calls_without_a_place_are_told_apart_by_their_ids():
    calls = [
        {"id": f"{name}23456789", "function": {"name": name, "arguments": "{}"}} for name in "fg"
    ]
    reader = MISTRAL.stream(HELLO)
    chunks = reader.feed(chunk({"tool_calls": calls}, "tool_calls", usage=USAGE))
    folded = fold(chunks)["choices"][0]["message"]["tool_calls"]
    assert [call["function"]["name"] for call in folded] == ["f", "g"]


@pytest.mark.parametrize(
    "delta",
    [{"tool_calls": [1]}, {"tool_calls": [{}]}, {"tool_calls": 1}, []],
    ids=str,
)
def test_a_chunk_that_makes_no_sense_is_the_providers_failure(delta: Any):
    reader = MISTRAL.stream(HELLO)
    if delta == []:
        assert reader.feed(chunk(delta))
        return
    with pytest.raises(ProviderUnavailable):
        reader.feed(chunk(delta))


@pytest.mark.parametrize(
    ("status", "body", "answers", "says", "param"),
    [
        (
            422,
            {"detail": [{"loc": ["body", "messages", 0, "content"], "msg": "Field required"}]},
            422,
            "Mistral: messages[0].content: Field required",
            "messages[0].content",
        ),
        (422, {"detail": "No."}, 422, "Mistral: No.", None),
        (400, {"message": {"detail": [{"msg": "Bad"}]}, "code": 3051}, 400, "Mistral: Bad", None),
        (400, {"error": {"message": "Bad", "param": "n"}}, 400, "Mistral: Bad", "n"),
        (400, {"type": "invalid_model", "message": "x"}, 502, "does not know the routed", None),
        (400, {"code": "unknown_model", "message": "x"}, 502, "does not know the routed", None),
        (401, {"detail": "Unauthorized"}, 502, "rejects our credential", None),
        (429, {"message": "x", "type": "rate_limited"}, 429, "rate limit", None),
        (503, {}, 503, "overloaded", None),
        (500, {"error": "x"}, 500, "error of its own", None),
    ],
    ids=str,
)
def test_an_error_is_read_in_each_of_its_shapes(
    status: int, body: Any, answers: int, says: str, param: str | None
):
    failure = MISTRAL.failure(status, {}, json.dumps(body).encode())
    assert failure.http_status == answers
    assert says in failure.public_message
    assert failure.param == param
