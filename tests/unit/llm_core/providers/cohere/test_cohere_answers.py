import json
from typing import Any

import pytest

from llm_core.catalogue import ProviderKind
from llm_core.chat.chunk import fold
from llm_core.errors import ProviderError, ProviderUnavailable
from llm_core.providers.cohere.response import usage_from_cohere
from llm_core.providers.cohere.stream import CohereStream
from llm_core.providers.registry import translator_for
from llm_core.sse import encode_event
from llm_core.tokens.usage import TokenUsage

COHERE = translator_for(ProviderKind.COHERE)
START = {"type": "message-start", "id": "1", "delta": {"message": {"role": "assistant"}}}
END = {
    "type": "message-end",
    "delta": {
        "finish_reason": "COMPLETE",
        "usage": {"billed_units": {"input_tokens": 3, "output_tokens": 2}},
    },
}


def wire(*events: dict[str, Any]) -> bytes:
    return b"".join(encode_event(json.dumps(e).encode(), e["type"]) for e in events)


def call(kind: str, index: int = 0, **said: Any) -> dict[str, Any]:
    if kind == "end":
        return {"type": "tool-call-end", "index": index}
    return {
        "type": f"tool-call-{kind}",
        "index": index,
        "delta": {"message": {"tool_calls": {"function": {"arguments": "", **said}, "id": "c"}}},
    }


def content(kind: str, **said: str) -> dict[str, Any]:
    return {"type": f"content-{kind}", "index": 0, "delta": {"message": {"content": said}}}


def answer(message: Any, finish: str = "COMPLETE") -> bytes:
    return json.dumps({"id": "1", "message": message, "finish_reason": finish}).encode()


def test_usage_is_what_is_billed_and_not_coheres_own_instructions():
    usage = {
        "billed_units": {"input_tokens": 5.0, "output_tokens": 2},
        "tokens": {"input_tokens": 500, "output_tokens": 5},
        "cached_tokens": 448,
    }
    assert usage_from_cohere(usage) == TokenUsage(input_tokens=5, output_tokens=2)
    del usage["billed_units"]
    assert usage_from_cohere(usage) == TokenUsage(
        input_tokens=500, cached_input_tokens=448, output_tokens=5
    )
    assert usage_from_cohere({"tokens": {"input_tokens": -1, "output_tokens": 1.5}}) == TokenUsage()


@pytest.mark.parametrize("pieces", [[], ["null"], ["nu", "ll"], ["", ""]], ids=str)
def test_a_call_without_arguments_has_an_empty_object(pieces: list[str]):
    reader = CohereStream()
    deltas = [call("delta", arguments=piece) for piece in pieces]
    chunks = reader.feed(wire(START, call("start", name="f"), *deltas, call("end"), END))
    message = fold(chunks)["choices"][0]["message"]
    assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}


def test_arguments_pass_as_they_come():
    reader = CohereStream()
    reader.feed(wire(START, call("start", name="f")))
    assert len(reader.feed(wire(call("delta", arguments='{"n":')))) == 1
    assert len(reader.feed(wire(call("delta", arguments="null}")))) == 1
    assert reader.feed(wire(call("end"))) == []


def test_a_null_in_a_whole_answer_is_an_empty_object_too():
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "null"}}]
    body = COHERE.response(answer({"tool_plan": "hm", "tool_calls": calls}, "TOOL_CALL")).body
    message = body["choices"][0]["message"]
    assert message["tool_calls"][0]["function"]["arguments"] == "{}"
    assert message["reasoning_content"] == "hm"
    assert body["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("finish", "reads"),
    [
        ("STOP_SEQUENCE", "stop"),
        ("MAX_TOKENS", "length"),
        ("TOOL_CALL", "tool_calls"),
        ("NEW", "stop"),
    ],
)
def test_a_reason_to_end_is_openais(finish: str, reads: str):
    assert COHERE.response(answer({}, finish)).body["choices"][0]["finish_reason"] == reads


@pytest.mark.parametrize(("finish", "status"), [("ERROR", 500), ("TIMEOUT", 504)])
def test_an_answer_that_ended_in_an_error_is_one(finish: str, status: int):
    with pytest.raises(ProviderError) as failure:
        COHERE.response(answer({"content": [{"type": "text", "text": "half"}]}, finish))
    assert failure.value.http_status == status
    reader = CohereStream()
    end = {"type": "message-end", "delta": {"finish_reason": finish, "error": "oops"}}
    assert len(reader.feed(wire(START, content("delta", text="half"), end))) == 2
    with pytest.raises(ProviderError) as failure:
        reader.finish()
    assert failure.value.http_status == status
    assert not reader.is_complete


def test_events_that_are_new_to_us_are_passed_over():
    reader = CohereStream()
    new = [{"type": "debug", "prompt": "x"}, {"type": "new-event"}, {"type": "content-end"}]
    chunks = reader.feed(wire(START, *new, END))
    assert [bool(chunk["choices"]) for chunk in chunks] == [True, True, False]
    assert reader.is_complete
    assert reader.served_model is None


@pytest.mark.parametrize(
    "event",
    [
        {"type": "content-delta"},
        {"type": "message-end", "delta": None},
        call("delta", 5, arguments="x"),
        call("end", 5),
        {"type": "tool-call-start", "index": [], "delta": {"message": {"tool_calls": {}}}},
        {"type": "tool-plan-delta", "delta": {"message": {}}},
    ],
    ids=str,
)
def test_an_event_that_makes_no_sense_is_the_providers_failure(event: dict[str, Any]):
    reader = CohereStream()
    reader.feed(wire(START))
    with pytest.raises(ProviderUnavailable):
        reader.feed(wire(event))


@pytest.mark.parametrize(
    ("status", "answers", "says"),
    [
        (400, 400, "Cohere: told"),
        (422, 422, "Cohere: told"),
        (401, 502, "rejects our credential"),
        (498, 400, "Cohere: told"),
        (402, 503, "quota is used up"),
        (404, 502, "does not know the routed model"),
        (429, 429, "rate limit"),
        (499, 502, "error of its own"),
        (500, 500, "error of its own"),
        (504, 504, "in time"),
    ],
)
def test_an_error_is_read_by_its_status(status: int, answers: int, says: str):
    failure = COHERE.failure(status, {}, b'{"id": "1", "message": "told"}')
    assert failure.http_status == answers
    assert says in failure.public_message
