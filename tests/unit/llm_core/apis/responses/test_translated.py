"""A chat completion told as a response."""

import json
from typing import Any

import pytest

from llm_core.apis.responses import read_responses
from llm_core.apis.responses.dialect import ResponsesDialect
from llm_core.apis.responses.output import echo_of
from llm_core.catalogue import Deployment, ProviderKind
from llm_core.chat.chunk import chunk, usage_chunk
from llm_core.errors import ProviderUnavailable, UnsupportedParameter
from llm_core.policy.decision import Obligations
from llm_core.sse import SseDecoder
from llm_core.tokens.usage import TokenUsage

CLAUDE = Deployment(
    "claude", ProviderKind.ANTHROPIC, "claude-sonnet-4-5", "https://a.test", max_output_tokens=2000
)
SERVER = Deployment("vllm", ProviderKind.OPENAI_COMPATIBLE, "qwen", "http://v.test/v1")


def dialect(*, summarises: bool = False, **fields: Any) -> ResponsesDialect:
    return ResponsesDialect(echo_of(fields), "mini", summarises=summarises)


def events_of(dialect: ResponsesDialect, *deltas: Any, finish: str = "stop") -> list[Any]:
    writer = dialect.events()
    written = [
        event
        for delta in deltas
        for event in writer.write(chunk(id_="c1", model="m", delta=delta, created=7))
    ]
    written += writer.write(chunk(id_="c1", model="m", delta={}, finish_reason=finish))
    written += writer.write(
        usage_chunk(id_="c1", model="m", usage=TokenUsage(input_tokens=3, output_tokens=2))
    )
    written += writer.end()
    events = SseDecoder().feed(b"".join(written))
    decoded = [json.loads(event.data) for event in events]
    assert [event.event for event in events] == [event["type"] for event in decoded]
    assert [event["sequence_number"] for event in decoded] == list(range(len(decoded)))
    return decoded


def types(events: list[Any]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def test_text_is_told_from_its_first_word_to_its_last():
    events = events_of(
        dialect(), {"role": "assistant", "content": ""}, {"content": "Hel"}, {"content": "lo"}
    )
    assert types(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    response = events[-1]["response"]
    assert response["status"] == "completed"
    assert response["output"][0]["content"] == [
        {"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}
    ]
    assert response["usage"] == {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 5,
    }
    assert events[0]["response"]["output"] == []


@pytest.mark.parametrize(
    ("summarises", "name"), [(False, "reasoning_text"), (True, "reasoning_summary_text")]
)
def test_thoughts_are_told_in_full_or_as_the_summary_that_was_asked_for(
    summarises: bool, name: str
):
    events = events_of(
        dialect(summarises=summarises), {"reasoning_content": "Hm"}, {"content": "Hello"}
    )
    assert f"{name}.delta" in types(events)
    assert f"{name}.done" in types(events)
    thoughts, message = events[-1]["response"]["output"]
    place, kind = ("summary", "summary_text") if summarises else ("content", "reasoning_text")
    assert thoughts[place] == [{"type": kind, "text": "Hm"}]
    assert message["type"] == "message"
    # The thoughts are over before the text begins.
    assert types(events).index("output_item.done") < types(events).index("output_text.delta")


def test_calls_whose_arguments_come_interleaved_are_kept_apart():
    def call(index: int, **function: str) -> dict[str, Any]:
        opened = {"id": f"call_{index}", "type": "function"} if "name" in function else {}
        return {"tool_calls": [{"index": index, **opened, "function": function}]}

    events = events_of(
        dialect(),
        call(0, name="a", arguments=""),
        call(1, name="b", arguments='{"'),
        call(0, arguments="{}"),
        call(1, arguments='x":1}'),
        finish="tool_calls",
    )
    output = events[-1]["response"]["output"]
    assert [(item["call_id"], item["name"], item["arguments"]) for item in output] == [
        ("call_0", "a", "{}"),
        ("call_1", "b", '{"x":1}'),
    ]
    assert all(item["status"] == "completed" for item in output)


def test_an_answer_that_was_cut_is_incomplete():
    last = events_of(dialect(), {"content": "Hel"}, finish="length")[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert last["response"]["output"][0]["status"] == "incomplete"


def test_a_refusal_is_a_part_of_its_own():
    events = events_of(dialect(), {"content": "Well, "}, {"refusal": "no."})
    assert "refusal.done" in types(events)
    assert [part["type"] for part in events[-1]["response"]["output"][0]["content"]] == [
        "output_text",
        "refusal",
    ]


def test_a_response_repeats_its_request():
    echo = dialect(
        instructions="Be brief.", temperature=0.5, metadata={"a": "b"}, text={"verbosity": "low"}
    ).echo
    assert echo["instructions"] == "Be brief."
    assert echo["text"] == {"format": {"type": "text"}, "verbosity": "low"}
    assert echo["store"] is False
    assert echo["temperature"] == 0.5


def test_an_error_tells_its_members_and_where_the_sdk_looks_for_them():
    writer = dialect().events()
    writer.write(chunk(id_="c1", model="m", delta={"content": "x"}))
    told = json.loads(
        SseDecoder().feed(writer.failed(ProviderUnavailable("It broke off.")))[0].data
    )
    assert told["type"] == "error"
    assert told["message"] == told["error"]["message"] == "It broke off."
    assert told["code"] == "provider_unavailable"
    assert told["sequence_number"] == 5


def test_signed_thoughts_come_back_in_the_next_turn_as_they_were():
    block = {"type": "thinking", "thinking": "Hm", "signature": "c2ln"}
    call = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    deltas = ({"reasoning_content": "Hm"}, {"thinking_blocks": [block]}, {"tool_calls": [call]})
    output = events_of(dialect(), *deltas, finish="tool_calls")[-1]["response"]["output"]
    result = {"type": "function_call_output", "call_id": "a", "output": "1"}
    body = {"model": "m", "input": [{"role": "user", "content": "x"}, *output, result]}
    message = read_responses(json.dumps(body).encode()).chat.messages[1]
    assert message["thinking_blocks"] == [block]
    assert message["reasoning_content"] == "Hm"
    assert message["tool_calls"][0]["id"] == "a"


def test_what_a_provider_puts_on_a_call_for_itself_comes_back_too():
    extra = {"google": {"thought_signature": "s"}}
    call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}
    delta = {"tool_calls": [{**call, "extra_content": extra}]}
    output = events_of(dialect(), delta)[-1]["response"]["output"]
    result = {"type": "function_call_output", "call_id": "a", "output": "1"}
    body = {"model": "m", "input": [*output, result]}
    message = read_responses(json.dumps(body).encode()).chat.messages[0]
    assert message["tool_calls"][0]["extra_content"] == extra


def test_log_probabilities_stand_with_their_text():
    one = {"token": "Hi", "logprob": -0.1, "bytes": None, "top_logprobs": []}
    body = dialect().body(
        {
            "id": "c1",
            "model": "m",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": "Hi"},
                    "logprobs": {"content": [one]},
                    "finish_reason": "stop",
                }
            ],
        }
    )
    assert body["output"][0]["content"][0]["logprobs"] == [{**one, "bytes": []}]


def test_a_kept_answer_is_replayed_with_the_ids_that_it_had():
    ask = read_responses(json.dumps({"model": "m", "input": "x"}).encode())
    events = events_of(dialect(), {"reasoning_content": "Hm"}, {"content": "Hello"})
    body = events[-1]["response"]
    replayed = [json.loads(e.data) for e in SseDecoder().feed(b"".join(ask.replayed(body)))]
    assert replayed[-1]["response"] == body
    assert types(replayed) == types(events)


def test_what_no_chat_completion_can_say_is_refused_where_it_is_translated():
    part = {"type": "input_file", "file_url": "https://example.com/a.pdf"}
    body = {"model": "m", "input": [{"role": "user", "content": [part]}]}
    ask = read_responses(json.dumps(body).encode())
    with pytest.raises(UnsupportedParameter) as refused:
        ask.exchange(CLAUDE, Obligations(), created=1)
    assert refused.value.param == "input[0].content[0].file_url"
    assert refused.value.public_message.startswith("anthropic ")


def test_a_knob_that_is_left_out_is_named_or_refused():
    body = {"model": "m", "input": "x", "truncation": "auto"}
    made = read_responses(json.dumps(body).encode()).exchange(CLAUDE, Obligations(), created=1)
    assert made.request.dropped_params == ("truncation",)
    with pytest.raises(UnsupportedParameter):
        read_responses(json.dumps({**body, "drop_params": False}).encode()).exchange(
            CLAUDE, Obligations(), created=1
        )


def test_the_longest_answer_is_told_to_the_provider():
    ask = read_responses(json.dumps({"model": "m", "input": "x"}).encode())
    sent = ask.exchange(SERVER, Obligations(max_output_tokens=77), created=1).request
    assert sent.url == "http://v.test/v1/chat/completions"
    assert json.loads(sent.body)["max_tokens"] == 77
