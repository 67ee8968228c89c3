import json
from typing import Any

import pytest

from llm_core.apis.completions import CompletionsAsk, read_completion
from llm_core.catalogue import Deployment, ProviderKind
from llm_core.errors import MalformedRequest, ProviderUnavailable, UnsupportedParameter
from llm_core.operation import Operation
from llm_core.policy.decision import Obligations
from llm_core.sse import DONE, encode_event

CLAUDE = Deployment("c", ProviderKind.ANTHROPIC, "claude-sonnet-4-5", "https://a.test")
OPENAI = Deployment("o", ProviderKind.OPENAI, "gpt-5", "https://o.test/v1")
NATIVE = Deployment(
    "n",
    ProviderKind.OPENAI_COMPATIBLE,
    "qwen",
    "http://v.test/v1",
    native_operations=(Operation.COMPLETIONS,),
)
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def read(**fields: Any) -> CompletionsAsk:
    return read_completion(json.dumps({"model": "mini", "prompt": "Once", **fields}).encode())


def exchange(deployment: Deployment, most: int | None = None, **fields: Any) -> Any:
    obligations = Obligations(max_output_tokens=most)
    return read(**fields).exchange(deployment, obligations, created=1)


def sent(deployment: Deployment, most: int | None = None, **fields: Any) -> Any:
    return json.loads(exchange(deployment, most, **fields).request.body)


def sse(*documents: dict[str, Any]) -> bytes:
    return b"".join(encode_event(json.dumps(document).encode()) for document in documents)


def chat_chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "created": 5, "model": "m", "choices": [choice]}


def text_chunk(text: str, finish: str | None = None, index: int = 0) -> dict[str, Any]:
    choice = {"index": index, "text": text, "logprobs": None, "finish_reason": finish}
    envelope = {"id": "c1", "object": "text_completion", "created": 5, "model": "m"}
    return {**envelope, "choices": [choice]}


def decoded(events: list[bytes]) -> list[Any]:
    return [json.loads(event.removeprefix(b"data: ")) for event in events if event != DONE]


def test_a_prompt_is_a_message_of_a_user_with_the_knobs_kept():
    body = sent(OPENAI, prompt=["Once"], temperature=0.1, stop=["."], n=2, seed=7, best_of=1)
    assert body == {
        "model": "gpt-5",
        "messages": [{"role": "user", "content": "Once"}],
        "max_completion_tokens": 16,
        "temperature": 0.1,
        "stop": [
            ".",
        ],
        "n": 2,
        "seed": 7,
    }


@pytest.mark.parametrize(("asked", "told"), [(None, 16), (40, 40)])
def test_an_answer_is_sixteen_tokens_long_unless_asked_for_otherwise(asked: int | None, told: int):
    assert read(max_tokens=asked).max_output_tokens == told


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"suffix": "end"}, "suffix"),
        ({"echo": True}, "echo"),
        ({"logprobs": 2}, "logprobs"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [[1, 2]]}, "prompt"),
    ],
)
def test_what_a_chat_completion_cannot_say_goes_only_to_a_server_with_this_api(
    fields: dict[str, Any], param: str
):
    with pytest.raises(UnsupportedParameter) as refused:
        exchange(CLAUDE, **fields)
    assert refused.value.param == param
    assert "anthropic" in refused.value.public_message
    assert sent(NATIVE, **fields)[param] == fields[param]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [1, "a"]}, "prompt"),
        ({"prompt": [[]]}, "prompt"),
        ({"prompt": {}}, "prompt"),
        ({"model": None}, "model"),
        ({"max_tokens": "x"}, "max_tokens"),
        ({"max_completion_tokens": 5}, "max_completion_tokens"),
        ({"n": 0}, "n"),
        ({"echo": "yes"}, "echo"),
        ({"suffix": 1}, "suffix"),
        ({"logprobs": 6}, "logprobs"),
        ({"messages": []}, "messages"),
        ({"temperature": "x"}, "temperature"),
    ],
)
def test_a_malformed_request_is_refused_with_the_field_at_fault(fields: dict[str, Any], param: str):
    with pytest.raises(MalformedRequest) as refused:
        read(**fields)
    assert refused.value.param == param


def test_answers_that_are_not_shown_are_refused():
    with pytest.raises(UnsupportedParameter) as refused:
        read(best_of=3)
    assert refused.value.param == "best_of"


def test_every_prompt_and_every_token_is_reserved_for():
    ask = read(prompt=[[1, 2, 3], [4, 5]], n=2)
    assert ask.choices == 4
    assert ask.prompt_tokens(len) >= 5
    assert read(prompt=["a" * 100, "b" * 100]).prompt_tokens(len) >= 200


def test_a_whole_answer_of_a_chat_model_becomes_a_completion():
    body = {
        "id": "c1",
        "object": "chat.completion",
        "created": 5,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "upon a time"},
                "finish_reason": "length",
            }
        ],
        "usage": USAGE,
    }
    answer = exchange(OPENAI).answer(json.dumps(body).encode())
    assert answer.body == {**text_chunk("upon a time", "length"), "usage": USAGE}
    assert answer.usage.total_tokens == 5


@pytest.mark.parametrize("shows_usage", [True, False])
def test_a_stream_of_a_chat_model_becomes_one_of_completions(shows_usage: bool):
    options = {"include_usage": True} if shows_usage else None
    stream = exchange(OPENAI, stream=True, stream_options=options).stream(is_kept=True)
    usage = {**chat_chunk({}), "choices": [], "usage": USAGE}
    parts = [chat_chunk({"role": "assistant", "content": ""}), chat_chunk({"content": "upon"})]
    events = stream.feed(sse(*parts, chat_chunk({}, "stop"), usage) + DONE)
    events = [*events, *stream.finish()]
    assert events[-1] == DONE
    told = [{**text_chunk("", None), "choices": [], "usage": USAGE}] if shows_usage else []
    assert decoded(events) == [text_chunk("upon"), text_chunk("", "stop"), *told]
    assert stream.folded() == {**text_chunk("upon", "stop"), "usage": USAGE}


def test_a_kept_answer_is_replayed_as_the_stream_that_is_asked_for():
    kept = {**text_chunk("upon", "stop"), "usage": USAGE}
    events = list(read(stream=True).replayed(kept))
    assert decoded(events) == [text_chunk("upon"), text_chunk("", "stop")]
    assert events[-1] == DONE


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        (ProviderKind.OPENAI_COMPATIBLE, "http://v.test/v1/completions"),
        (
            ProviderKind.AZURE_OPENAI,
            "http://v.test/v1/openai/deployments/qwen/completions?api-version=2024-10-21",
        ),
    ],
)
def test_a_server_with_this_api_is_asked_in_it(kind: ProviderKind, url: str):
    deployment = Deployment(
        "n", kind, "qwen", "http://v.test/v1", native_operations=(Operation.COMPLETIONS,)
    )
    made = exchange(deployment, 12, stream=True, max_tokens=50, drop_params=True)
    assert made.request.url == url
    assert json.loads(made.request.body) == {
        "model": "qwen",
        "prompt": "Once",
        "stream": True,
        "max_tokens": 12,
        "stream_options": {"include_usage": True},
    }


def test_a_server_with_this_api_is_not_asked_to_choose_another_model():
    with pytest.raises(UnsupportedParameter):
        exchange(NATIVE, fallbacks=["other"])


def test_a_native_answer_is_left_as_it_is():
    body = {**text_chunk("upon", "stop"), "usage": USAGE}
    answer = exchange(NATIVE).answer(json.dumps(body).encode())
    assert answer.body == body
    assert list(answer.texts) == ["upon"]
    assert answer.usage.total_tokens == 5


def test_a_native_stream_is_passed_on_and_added_up():
    stream = exchange(NATIVE, stream=True, prompt=["a", "b"]).stream(is_kept=True)
    usage = {**text_chunk(""), "choices": [], "usage": USAGE}
    assert not stream.has_begun
    parts = [text_chunk("upon"), text_chunk("far", index=1), text_chunk("", "stop")]
    first = stream.feed(sse(*parts))
    assert stream.has_begun
    assert decoded([*first]) == parts
    last = stream.feed(sse(text_chunk(" off", "stop", index=1), usage) + DONE)
    assert decoded([*last]) == [text_chunk(" off", "stop", index=1)]
    assert stream.finish() == [DONE]
    assert list(stream.texts()) == ["upon", "far", " off"]
    folded = stream.folded()
    assert [choice["text"] for choice in folded["choices"]] == ["upon", "far off"]
    assert folded["usage"] == USAGE


def test_a_native_stream_that_breaks_off_is_not_called_whole():
    stream = exchange(NATIVE, stream=True).stream(is_kept=True)
    stream.feed(sse(text_chunk("upon")))
    with pytest.raises(ProviderUnavailable):
        stream.finish()
    assert stream.folded() is None
