import json
from typing import Any

import pytest

from llm_core.catalogue import Deployment, ProviderKind
from llm_core.chat.request import ChatRequest
from llm_core.errors import MalformedRequest, UnsupportedParameter
from llm_core.providers.bedrock.messages import Conversation, conversation
from llm_core.providers.bedrock.models import traits_of

CLAUDE = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
LLAMA = "meta.llama3-3-70b-instruct-v1:0"
MARK = {"cache_control": {"type": "ephemeral"}}
POINT = {"cachePoint": {"type": "default"}}
PNG = "data:image/png;base64,cG5n"
IMAGE = {"image": {"format": "png", "source": {"bytes": "cG5n"}}}


def talk(*messages: dict[str, Any], model: str = CLAUDE, **fields: Any) -> Conversation:
    body = {"model": "m", "messages": list(messages), **fields}
    deployment = Deployment(
        id="d", provider=ProviderKind.BEDROCK, model=model, base_url="https://x"
    )
    request = ChatRequest.parse(json.dumps(body).encode())
    return conversation(request, model, traits_of(deployment))


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def call(id_: str = "t1", arguments: str = "{}", **more: Any) -> dict[str, Any]:
    function = {"name": "f", "arguments": arguments}
    return {"id": id_, "type": "function", "function": function, **more}


def test_instructions_are_gathered_wherever_they_stand():
    sorted_ = talk(
        {"role": "system", "content": "one"},
        user(text("hi")),
        {"role": "developer", "content": [text("two")]},
    )
    assert sorted_.system == [{"text": "one"}, {"text": "two"}]
    assert sorted_.turns == [{"role": "user", "content": [{"text": "hi"}]}]


def test_neighbours_of_one_side_are_one_turn_with_the_results_first():
    turns = talk(
        user(text("a")),
        user(text("b")),
        {"role": "assistant", "content": "c", "tool_calls": [call(arguments='{"x": 1}')]},
        user(text("d")),
        {"role": "tool", "tool_call_id": "t1", "content": [text("e")]},
    ).turns
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert turns[1]["content"][1]["toolUse"] == {"toolUseId": "t1", "name": "f", "input": {"x": 1}}
    assert turns[2]["content"] == [
        {"toolResult": {"toolUseId": "t1", "content": [{"text": "e"}]}},
        {"text": "d"},
    ]


def test_blank_text_and_turns_without_anything_are_left_out():
    turns = talk(user(text(" ")), user(text("hi")), {"role": "assistant", "content": ""}).turns
    assert turns == [{"role": "user", "content": [{"text": "hi"}]}]


def test_the_end_of_an_answer_to_be_continued_has_no_white_space():
    assert talk(user(text("a")), {"role": "assistant", "content": "b "}).turns[1]["content"] == [
        {"text": "b"}
    ]


def test_images_and_documents_travel_as_bytes():
    csv = {"filename": "my_data (1).csv", "file_data": "data:text/csv;base64,YSxi"}
    nameless = {"file_data": "data:application/pdf;base64,JVBERg=="}
    (turn,) = talk(
        user(
            {"type": "image_url", "image_url": {"url": PNG}},
            {"type": "file", "file": csv},
            {"type": "file", "file": csv},
            {"type": "file", "file": nameless},
        )
    ).turns
    assert turn["content"][0] == IMAGE
    documents = [block["document"] for block in turn["content"][1:]]
    names = ["my data (1)", "my data (1) 2", "document"]
    assert [document["name"] for document in documents] == names
    assert [document["format"] for document in documents] == ["csv", "csv", "pdf"]
    assert documents[0]["source"] == {"bytes": "YSxi"}


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:image/bmp;base64,x"}}, "image_url.url"),
        ({"type": "file", "file": {"file_id": "f"}}, "file"),
        ({"type": "file", "file": {"file_data": "data:video/mp4;base64,x"}}, "file"),
        ({"type": "input_audio", "input_audio": {}}, "type"),
    ],
)
def test_what_bedrock_cannot_read_is_refused_by_name(part: dict[str, Any], param: str):
    with pytest.raises(UnsupportedParameter) as refusal:
        talk(user(part))
    assert refusal.value.param == f"messages[0].content[0].{param}"


@pytest.mark.parametrize(
    "message",
    [
        {"role": "system", "content": [{"type": "image_url", "image_url": {"url": PNG}}]},
        {"role": "assistant", "content": "x", "audio": {"id": "a"}},
        {"role": "assistant", "tool_calls": [{"id": "t", "type": "custom"}]},
    ],
)
def test_further_refusals(message: dict[str, Any]):
    with pytest.raises(UnsupportedParameter):
        talk(user(text("hi")), message)


@pytest.mark.parametrize("arguments", ["[]", "{", "7"])
def test_arguments_that_are_no_object_are_malformed(arguments: str):
    with pytest.raises(MalformedRequest, match="must be a JSON object"):
        talk(user(text("a")), {"role": "assistant", "tool_calls": [call(arguments=arguments)]})


def test_a_call_and_its_result_keep_one_id_however_strange_or_long():
    for id_ in ("call|1", "x" * 100):
        turns = talk(
            user(text("a")),
            {"role": "assistant", "tool_calls": [call(id_, "")]},
            {"role": "tool", "tool_call_id": id_, "content": "b"},
        ).turns
        used = turns[1]["content"][0]["toolUse"]["toolUseId"]
        assert used == turns[2]["content"][0]["toolResult"]["toolUseId"]
        assert len(used) <= 64
    long = [
        talk(user(text("a")), {"role": "assistant", "tool_calls": [call("x" * 100 + end)]})
        for end in "12"
    ]
    assert long[0].turns != long[1].turns


def test_a_tool_may_answer_with_nothing_or_a_picture():
    turns = talk(
        user(text("a")),
        {"role": "assistant", "tool_calls": [call("1"), call("2")]},
        {"role": "tool", "tool_call_id": "1", "content": ""},
        {
            "role": "tool",
            "tool_call_id": "2",
            "content": [{"type": "image_url", "image_url": {"url": PNG}}],
        },
    ).turns
    assert [block["toolResult"]["content"] for block in turns[2]["content"]] == [[], [IMAGE]]


def test_cache_marks_become_points_behind_what_they_mark():
    sorted_ = talk(
        {"role": "system", "content": [text("long", **MARK), text("short")]},
        user(text("a"), text("b", **MARK)),
        {"role": "assistant", "tool_calls": [call()]},
        user(text("c")),
        {"role": "tool", "tool_call_id": "t1", "content": [text("d", **MARK)]},
        **MARK,
    )
    assert sorted_.system == [{"text": "long"}, POINT, {"text": "short"}]
    assert sorted_.turns[0]["content"] == [{"text": "a"}, {"text": "b"}, POINT]
    result = {"toolResult": {"toolUseId": "t1", "content": [{"text": "d"}]}}
    # The mark of the whole request stands at its end.
    assert sorted_.turns[2]["content"] == [result, POINT, POINT, {"text": "c"}]


def test_cache_marks_are_dropped_where_there_is_no_cache():
    sorted_ = talk(user(text("a", **MARK), text("b", **MARK)), model=LLAMA)
    assert sorted_.turns[0]["content"] == [{"text": "a"}, {"text": "b"}]
    assert sorted_.dropped == ["cache_control"]


def test_names_of_speakers_are_dropped():
    assert talk({"role": "user", "name": "ann", "content": "hi"}).dropped == ["messages.name"]


SIGNED = {"type": "thinking", "thinking": "hm", "signature": "s"}
KEPT = {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}}
REDACTED = {"type": "redacted_thinking", "data": "cg=="}


@pytest.mark.parametrize(
    ("thought", "model", "sent"),
    [
        ({**SIGNED, "model": "bedrock"}, CLAUDE, [KEPT]),
        (SIGNED, CLAUDE, [KEPT]),
        ({**SIGNED, "model": "claude-sonnet-4-5-20250929"}, CLAUDE, [KEPT]),
        ({**SIGNED, "model": "claude-opus-4-6"}, CLAUDE, []),
        ({**SIGNED, "model": "bedrock"}, LLAMA, []),
        (
            {**REDACTED, "model": "bedrock"},
            CLAUDE,
            [{"reasoningContent": {"redactedContent": "cg=="}}],
        ),
        ({**REDACTED, "model": "claude-sonnet-4-5"}, CLAUDE, []),
        ({"type": "thinking", "thinking": "hm"}, CLAUDE, []),
    ],
)
def test_only_a_model_s_own_reasoning_is_sent_back_and_stands_first(
    thought: dict[str, Any], model: str, sent: list[dict[str, Any]]
):
    said = {"role": "assistant", "content": "b", "thinking_blocks": [thought]}
    turns = talk(user(text("a")), said, model=model).turns
    assert turns[1]["content"] == [*sent, {"text": "b"}]
