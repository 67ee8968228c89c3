from typing import Any

import pytest

from llm_core.errors import MalformedRequest, UnsupportedParameter
from llm_core.providers.gemini.messages import UNSIGNED, Conversation, conversation
from llm_core.providers.gemini.models import capabilities_of
from llm_core.providers.gemini.vendor import GOOGLE_AI

NEW = "gemini-3.5-flash"
OLD = "gemini-2.0-flash"


def talk(*messages: dict[str, Any], model: str = NEW) -> Conversation:
    return conversation(messages, capabilities_of(model), GOOGLE_AI)


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def call(id_: str, name: str = "f", arguments: str = "{}", **more: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"id": id_, "type": "function", "function": function, **more}


def called(*calls: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(calls), **more}


def result(id_: str, content: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id_, "content": content}


def signed(signature: str) -> dict[str, Any]:
    return {"extra_content": {"google": {"thought_signature": signature}}}


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def responses(read: Conversation) -> list[dict[str, Any]]:
    return [
        part["functionResponse"]
        for content in read.contents
        for part in content["parts"]
        if "functionResponse" in part
    ]


def test_instructions_are_gathered_wherever_they_stand():
    read = talk(
        {"role": "system", "content": "a"}, user("hi"), {"role": "developer", "content": "b"}
    )
    assert read.system == [{"text": "a"}, {"text": "b"}]
    assert read.contents == [{"role": "user", "parts": [{"text": "hi"}]}]


def test_messages_of_one_side_in_a_row_are_one_turn():
    read = talk(user("a"), user("b"), {"role": "assistant", "content": "c"}, user("d"))
    assert [content["role"] for content in read.contents] == ["user", "model", "user"]
    assert read.contents[0]["parts"] == [{"text": "a"}, {"text": "b"}]


def test_results_are_one_turn_in_the_order_of_their_calls_and_words_behind_them_another():
    read = talk(
        user("?"), called(call("a"), call("b")), result("b", "2"), result("a", "1"), user("and?")
    )
    assert [content["role"] for content in read.contents] == ["user", "model", "user", "user"]
    assert [one["id"] for one in responses(read)] == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"temp": 12}', {"temp": 12}),
        ("22 C", {"output": "22 C"}),
        ("[1]", {"output": "[1]"}),
        ("", {"output": ""}),
        ('{"id": 12345678901234567890}', {"output": '{"id": 12345678901234567890}'}),
        ([{"type": "text", "text": '{"a"'}, {"type": "text", "text": ": 1}"}], {"a": 1}),
    ],
)
def test_a_result_is_an_object_and_loses_nothing(content: Any, expected: dict[str, Any]):
    read = talk(user("?"), called(call("a")), result("a", content))
    assert responses(read) == [{"id": "a", "name": "f", "response": expected}]


def test_a_result_is_named_after_the_latest_call_with_its_id():
    read = talk(
        user("?"),
        called(call("a", "one")),
        result("a", "1"),
        called(call("a", "two")),
        result("a", "2"),
    )
    assert [one["name"] for one in responses(read)] == ["one", "two"]


def test_a_result_that_answers_no_call_is_refused():
    with pytest.raises(MalformedRequest) as raised:
        talk(user("?"), result("a", "1"))
    assert raised.value.param == "messages[1].tool_call_id"


def test_signatures_go_back_where_they_came_from():
    read = talk(
        user("?"),
        called(call("a", **signed("QQ==")), call("b")),
        result("a", "1"),
        result("b", "2"),
        {"role": "assistant", "content": "done", **signed("Qg==")},
        user("thanks"),
        {"role": "assistant", "content": "", **signed("Qw==")},
    )
    parts = [part for content in read.contents for part in content["parts"]]
    assert [part.get("thoughtSignature") for part in parts if "functionCall" in part] == [
        "QQ==",
        None,
    ]
    assert {"text": "done", "thoughtSignature": "Qg=="} in parts
    assert {"text": "", "thoughtSignature": "Qw=="} in parts


def test_a_call_of_another_model_is_marked_where_signatures_are_wanted():
    messages = (user("?"), called(call("toolu_1"), call("toolu_2")))
    first, second = talk(*messages).contents[1]["parts"]
    assert first["thoughtSignature"] == UNSIGNED
    assert "thoughtSignature" not in second
    assert "thoughtSignature" not in talk(*messages, model=OLD).contents[1]["parts"][0]


@pytest.mark.parametrize("extra", [None, "x", {"google": 1}, {"google": {"thought_signature": 5}}])
def test_extra_content_of_another_shape_is_passed_over(extra: Any):
    read = talk(user("?"), {"role": "assistant", "content": "a", "extra_content": extra})
    assert read.contents[1]["parts"] == [{"text": "a"}]


def test_arguments_must_be_an_object():
    assert talk(user("?"), called(call("a", arguments=""))).contents[1]["parts"][0][
        "functionCall"
    ] == {"id": "a", "name": "f", "args": {}}
    for wrong in ("[]", "{", "nonsense"):
        with pytest.raises(MalformedRequest):
            talk(user("?"), called(call("a", arguments=wrong)))


def test_images_sounds_and_documents_are_sent_along():
    read = talk(
        user(
            [
                image("data:image/jpg;base64,QUJD"),
                image("https://example.com/a/b.PNG?size=1"),
                {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "mp3"}},
                {"type": "file", "file": {"file_data": "data:application/pdf;base64,QQ=="}},
            ]
        )
    )
    assert read.contents[0]["parts"] == [
        {"inlineData": {"mimeType": "image/jpeg", "data": "QUJD"}},
        {
            "fileData": {
                "mimeType": "image/png",
                "fileUri": "https://example.com/a/b.PNG?size=1",
            }
        },
        {"inlineData": {"mimeType": "audio/mp3", "data": "QQ=="}},
        {"inlineData": {"mimeType": "application/pdf", "data": "QQ=="}},
    ]


@pytest.mark.parametrize(
    "url",
    [
        "data:image/gif;base64,QQ==",
        "https://example.com/picture",
        "gs://bucket/of-somebody.png",
        "file:///etc/passwd.png",
        "https://generativelanguage.googleapis.com/v1beta/files/of-somebody.png",
        "https://GenerativeLanguage.googleapis.com./v1beta/files/of-somebody.png",
        "https://[broken.png",
        "nonsense",
    ],
)
def test_an_image_that_google_cannot_read_or_must_not_read_is_refused(url: str):
    with pytest.raises(UnsupportedParameter) as raised:
        talk(user([image(url)]))
    assert raised.value.param == "messages[0].content[0].image_url.url"


def test_an_older_model_reads_images_from_the_request_alone():
    with pytest.raises(UnsupportedParameter, match="data URIs only"):
        talk(user([image("https://example.com/a.png")]), model=OLD)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "flac"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "file", "file": {"file_data": "data:text/plain;base64,QQ=="}},
        {"type": "video_url", "video_url": {"url": "x"}},
    ],
)
def test_other_parts_are_refused(part: dict[str, Any]):
    with pytest.raises(UnsupportedParameter):
        talk(user([part]))


def test_a_result_may_hold_an_image_from_generation_3_on():
    shown = [{"type": "text", "text": "seen"}, image("data:image/png;base64,QQ==")]
    read = talk(user("?"), called(call("a")), result("a", shown))
    assert responses(read)[0]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": "QQ=="}}
    ]
    with pytest.raises(UnsupportedParameter):
        talk(user("?"), called(call("a")), result("a", shown), model="gemini-2.5-flash")


def test_names_of_speakers_are_left_out_and_named():
    assert talk({**user("hi"), "name": "ann"}).dropped == ["messages.name"]


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "system", "content": "a"}],
        [{"role": "system", "content": [image("data:image/png;base64,QQ==")]}, user("x")],
        [user("x"), {"role": "function", "name": "f", "content": "1"}],
        [user("x"), {"role": "assistant", "content": None, "audio": {"id": "a"}}],
        [user("x"), called({"id": "a", "type": "custom", "custom": {}})],
    ],
)
def test_what_gemini_has_no_place_for_is_refused(messages: list[dict[str, Any]]):
    with pytest.raises(UnsupportedParameter):
        talk(*messages)
