import json
from dataclasses import replace
from typing import Any

import pytest

from llm_core.apis.chat_completions import read_chat_completion
from llm_core.apis.pass_through import PassThroughStream
from llm_core.apis.registry import read_ask
from llm_core.chat.chunk import chunks_of, fold
from llm_core.errors import (
    NotServed,
    ProviderError,
    ProviderUnavailable,
    UnsupportedParameter,
)
from llm_core.operation import Operation
from llm_core.policy.decision import Obligations
from llm_core.sse import DONE, SseDecoder
from tests.fakes.samples import AZURE, CLAUDE, OPENAI, chat_body, openai_answer, openai_events

AS_IT_IS = Obligations()


def exchange(deployment: Any = OPENAI, **fields: Any) -> Any:
    return read_chat_completion(chat_body(**fields)).exchange(deployment, AS_IT_IS, created=7)


def documents(events: list[bytes]) -> list[Any]:
    """What the client reads; the end mark as text."""
    read = SseDecoder().feed(b"".join(events))
    return [one.data.decode() if one.data == b"[DONE]" else json.loads(one.data) for one in read]


def streamed(received: list[bytes], **fields: Any) -> list[Any]:
    stream = exchange(stream=True, **fields).stream()
    events = [event for piece in received for event in stream.feed(piece)]
    return documents([*events, *stream.finish()])


def test_openais_events_pass_as_the_bytes_that_came() -> None:
    received = openai_events("one", "two")
    stream = exchange(stream=True).stream()
    assert isinstance(stream, PassThroughStream)
    shown = [event for piece in received for event in stream.feed(piece)]
    # All but usage, which the client did not ask for, and the end, which comes last.
    assert shown == received[:3]
    assert stream.finish() == [DONE]
    assert (stream.usage.input_tokens, stream.usage.output_tokens) == (12, 3)
    assert stream.served_model == "gpt-4o-mini"
    assert stream.texts() == ["one", "two"]


def test_usage_is_shown_to_who_asks_for_it() -> None:
    shown = streamed(openai_events("one"), stream_options={"include_usage": True})
    assert shown[-2]["usage"]["total_tokens"] == 15
    assert shown[-2]["choices"] == []
    assert shown[-1] == "[DONE]"


def test_a_stream_begins_with_its_first_word_and_not_with_its_role() -> None:
    stream = exchange(stream=True).stream()
    role = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
    stream.feed(b"data: " + json.dumps(role).encode() + b"\n\n")
    assert not stream.has_begun
    stream.feed(openai_events("word")[0])
    assert stream.has_begun


@pytest.mark.parametrize("deployment", [OPENAI, AZURE], ids=["passed through", "translated"])
def test_a_stream_that_breaks_off_is_not_passed_off_as_whole(deployment: Any) -> None:
    stream = exchange(deployment, stream=True).stream()
    for piece in openai_events("one", is_done=False)[:1]:
        stream.feed(piece)
    with pytest.raises(ProviderUnavailable):
        stream.finish()
    assert stream.folded() is None


def test_an_error_behind_the_first_words_is_seen() -> None:
    stream = exchange(stream=True).stream()
    stream.feed(openai_events("one")[0])
    failure = b'data: {"error": {"message": "too much", "type": "server_error"}}\n\n'
    with pytest.raises(ProviderError, match="an error of its own"):
        stream.feed(failure)


def test_words_in_the_same_bytes_as_an_error_come_before_it() -> None:
    stream = exchange(stream=True).stream()
    failure = b'data: {"error": {"message": "too much", "type": "server_error"}}\n\n'
    assert stream.feed(openai_events("one")[0] + failure) == [openai_events("one")[0]]
    with pytest.raises(ProviderError):
        stream.finish()


def test_nonsense_is_not_passed_on() -> None:
    stream = exchange(stream=True).stream()
    stream.feed(openai_events("one")[0])
    with pytest.raises(ProviderUnavailable):
        stream.feed(openai_events("two")[0].rstrip()[:-8] + b"\n\n")


def test_words_that_look_like_members_are_words() -> None:
    said = 'the "usage": {"total": 1} and "error": no'
    stream = exchange(stream=True).stream()
    events = [event for piece in openai_events("so", said, "on") for event in stream.feed(piece)]
    assert len(events) == 4
    stream.finish()
    assert stream.texts() == ["so", said, "on"]


@pytest.mark.parametrize("deployment", [OPENAI, AZURE], ids=["passed through", "translated"])
def test_a_kept_stream_folds_to_the_whole_answer(deployment: Any) -> None:
    stream = exchange(deployment, stream=True).stream(is_kept=True)
    for piece in openai_events("one ", "two"):
        stream.feed(piece)
    stream.finish()
    folded = stream.folded()
    assert folded
    assert folded["choices"][0]["message"]["content"] == "one two"
    assert folded["usage"]["total_tokens"] == 15


def test_of_a_long_stream_only_the_words_are_kept_for_counting() -> None:
    stream = exchange(stream=True).stream()
    assert isinstance(stream, PassThroughStream)
    words = [f"word {number} " for number in range(2000)]
    for piece in openai_events(*words):
        stream.feed(piece)
    assert sum(map(len, stream._passed)) < 70_000
    assert "".join(stream.texts()) == "".join(words)


def test_a_provider_is_not_let_keep_a_prompt_for_a_day() -> None:
    with pytest.raises(UnsupportedParameter) as no:
        exchange(prompt_cache_retention="24h")
    assert no.value.param == "prompt_cache_retention"
    exchange(prompt_cache_retention="in_memory")


def test_an_answer_without_a_name_is_given_one_and_a_model_and_a_time() -> None:
    nameless = {"id": "", "created": 0, "model": ""}
    whole = exchange(AZURE).answer(openai_answer("so", **nameless)).body
    assert whole["id"].startswith("chatcmpl-")
    assert (whole["created"], whole["model"]) == (7, AZURE.model)
    chunk = {"choices": [{"index": 0, "delta": {"content": "so"}}], **nameless}
    stream = exchange(AZURE, stream=True).stream()
    shown = documents(
        [e for _ in range(2) for e in stream.feed(b"data: %b\n\n" % json.dumps(chunk).encode())]
    )
    assert shown[0]["id"] == shown[1]["id"] != ""
    assert shown[0]["model"] == AZURE.model


def test_a_kept_answer_is_replayed_as_a_stream() -> None:
    answer = json.loads(openai_answer("well said"))
    ask = read_chat_completion(chat_body(stream=True, stream_options={"include_usage": True}))
    replayed = documents(list(ask.replayed(answer)))
    assert replayed.pop() == "[DONE]"
    assert fold(replayed) == {
        **answer,
        "choices": [{**answer["choices"][0], "logprobs": None}],
    }


def test_chunks_fold_to_the_completion_they_were_made_of() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    completion = {
        "id": "x",
        "object": "chat.completion",
        "created": 5,
        "model": "m",
        "choices": [
            {
                "index": index,
                "message": {"role": "assistant", "content": None, "tool_calls": [call, call]},
                "logprobs": None,
                "finish_reason": "tool_calls",
            }
            for index in range(2)
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }
    assert fold(chunks_of(completion)) == completion


def test_who_asks_for_it_is_told_instead_of_having_parameters_dropped() -> None:
    body = chat_body(presence_penalty=1, drop_params=False)
    with pytest.raises(UnsupportedParameter, match="anthropic has no 'presence_penalty'") as no:
        read_chat_completion(body).exchange(CLAUDE, AS_IT_IS, created=0)
    assert no.value.param == "presence_penalty"
    allowed = read_chat_completion(chat_body(presence_penalty=1, drop_params=True))
    made = allowed.exchange(CLAUDE, AS_IT_IS, created=0)
    # What is meant for the gateway goes no further.
    assert b"drop_params" not in made.request.body
    assert made.request.dropped_params == ("presence_penalty",)


def test_the_vendors_name_stands_in_the_refusal() -> None:
    groq = replace(CLAUDE, vendor="claude-at-home")
    body = chat_body(presence_penalty=1, drop_params=False)
    with pytest.raises(UnsupportedParameter, match="claude-at-home"):
        read_chat_completion(body).exchange(groq, AS_IT_IS, created=0)


def test_a_list_of_models_has_no_body_to_read() -> None:
    with pytest.raises(NotServed):
        read_ask(Operation.MODELS, b"{}")
