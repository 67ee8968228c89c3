from typing import Any

import pytest

from llm_core.errors import MalformedRequest, UnsupportedParameter
from llm_core.providers.anthropic.messages import Conversation, conversation

MODEL = "claude-sonnet-4-5"
PNG = "data:image/png;base64,iVBORw0KGgo="


def talk(*messages: dict[str, Any]) -> Conversation:
    return conversation(messages, MODEL)


def user(content: object) -> dict[str, Any]:
    return {"role": "user", "content": content}


def call(id_: str, name: str = "f", arguments: str = "{}") -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def test_messages_of_one_side_become_one_turn():
    turns = talk(
        user("a"),
        user([text("b"), text("")]),
        {"role": "assistant", "content": "c"},
        {"role": "assistant", "content": [text("d"), {"type": "refusal", "refusal": "no"}]},
        user("e"),
    ).turns
    assert turns == [
        {"role": "user", "content": [text("a"), text("b")]},
        {"role": "assistant", "content": [text("c"), text("d"), text("no")]},
        {"role": "user", "content": [text("e")]},
    ]


def test_instructions_are_gathered_wherever_they_stand():
    sorted_ = talk(
        {"role": "system", "content": "a"},
        user("b"),
        {"role": "developer", "content": [text("c"), text("d")]},
    )
    assert sorted_.system == [text("a"), text("c"), text("d")]
    assert sorted_.turns == [user([text("b")])]


def test_results_stand_first_in_the_turn_after_the_calls():
    """Anthropic refuses a turn with text before its results."""
    turns = talk(
        user("a"),
        {"role": "assistant", "content": None, "tool_calls": [call("1"), call("2", "g")]},
        user("by the way"),
        {"role": "tool", "tool_call_id": "1", "content": "x"},
        {"role": "tool", "tool_call_id": "2", "content": ""},
    ).turns
    assert [block["type"] for block in turns[1]["content"]] == ["tool_use", "tool_use"]
    assert turns[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "1", "content": [text("x")]},
        {"type": "tool_result", "tool_use_id": "2"},
        text("by the way"),
    ]


def test_ids_of_other_servers_are_made_fit_on_both_sides():
    turns = talk(
        user("a"),
        {"role": "assistant", "content": None, "tool_calls": [call("functions.f:0")]},
        {"role": "tool", "tool_call_id": "functions.f:0", "content": "x"},
    ).turns
    assert turns[1]["content"][0]["id"] == turns[2]["content"][0]["tool_use_id"]
    assert turns[1]["content"][0]["id"] == "functions_f_0"


@pytest.mark.parametrize(("arguments", "read"), [("", {}), (" ", {}), ('{"a": 1}', {"a": 1})])
def test_arguments_become_an_object(arguments: str, read: dict[str, Any]):
    turns = talk(user("a"), {"role": "assistant", "tool_calls": [call("1", "f", arguments)]}).turns
    assert turns[1]["content"][0]["input"] == read


@pytest.mark.parametrize("arguments", ["{", "[]", "1", "null"])
def test_arguments_that_are_no_object_are_named(arguments: str):
    with pytest.raises(MalformedRequest) as refusal:
        talk(user("a"), {"role": "assistant", "tool_calls": [call("1", "f", arguments)]})
    assert refusal.value.param == "messages[1].tool_calls[0].function.arguments"


@pytest.mark.parametrize(
    ("url", "source"),
    [
        (PNG, {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}),
        (
            "DATA:image/JPG;charset=x;base64,AA==",
            {"type": "base64", "media_type": "image/jpeg", "data": "AA=="},
        ),
        ("https://x.test/a.png", {"type": "url", "url": "https://x.test/a.png"}),
    ],
)
def test_images_come_by_address_or_with_their_bytes(url: str, source: dict[str, str]):
    part = {"type": "image_url", "image_url": {"url": url, "detail": "high"}}
    assert talk(user([part])).turns[0]["content"] == [{"type": "image", "source": source}]


@pytest.mark.parametrize(
    "url", ["data:image/tiff;base64,AA==", "data:image/png,raw", "file:///etc/passwd", "gs://b/a"]
)
def test_images_that_anthropic_cannot_fetch_or_read_are_refused(url: str):
    with pytest.raises(UnsupportedParameter) as refusal:
        talk(user([{"type": "image_url", "image_url": {"url": url}}]))
    assert refusal.value.param == "messages[0].content[0].image_url.url"


def test_a_pdf_becomes_a_document_and_other_files_are_refused():
    file = {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}
    block = talk(user([{"type": "file", "file": file}])).turns[0]["content"][0]
    source = {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}
    assert block == {"type": "document", "source": source, "title": "a.pdf"}
    for other in ({"file_id": "f"}, {"file_data": "data:text/csv;base64,AA=="}):
        with pytest.raises(UnsupportedParameter):
            talk(user([{"type": "file", "file": other}]))


def test_thinking_goes_back_to_the_model_that_signed_it_and_to_no_other():
    own = {"type": "thinking", "thinking": "t", "signature": "s", "model": f"{MODEL}-20250929"}
    others = {**own, "model": "claude-opus-5"}
    unnamed = {"type": "redacted_thinking", "data": "d"}
    strange = {"type": "document", "source": {}, "cache_control": {"ttl": "1h"}}
    said = {"role": "assistant", "content": "a", "thinking_blocks": [own, others, unnamed, strange]}
    blocks = talk(user("q"), said, user("r")).turns[1]["content"]
    kept = {name: value for name, value in own.items() if name != "model"}
    assert blocks == [kept, unnamed, text("a")]


def test_thinking_stands_first_when_two_answers_become_one_turn():
    thought = {"type": "thinking", "thinking": "t", "signature": "s"}
    turns = talk(
        user("q"),
        {"role": "assistant", "content": "a"},
        {"role": "assistant", "content": "b", "thinking_blocks": [thought]},
    ).turns
    assert turns[1]["content"] == [thought, text("a"), text("b")]


def test_the_cache_mark_of_five_minutes_passes_and_that_of_an_hour_does_not():
    """Writing for an hour costs twice the input's price, and no price list here knows that."""
    mark = {"cache_control": {"type": "ephemeral"}}
    assert talk(user([{**text("a"), **mark}])).turns[0]["content"] == [{**text("a"), **mark}]
    hour = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    with pytest.raises(UnsupportedParameter):
        talk(user([{**text("a"), **hour}]))


def test_an_answer_to_be_continued_does_not_end_in_white_space():
    turns = talk(user("q"), {"role": "assistant", "content": "The best is \n"}).turns
    assert turns[-1]["content"] == [text("The best is")]


def test_instructions_can_only_be_text():
    image = {"type": "image_url", "image_url": {"url": PNG}}
    with pytest.raises(UnsupportedParameter):
        talk({"role": "system", "content": [image]}, user("a"))


def test_a_result_that_is_a_failure_is_told_as_one():
    """OpenAI's format has no word for it; it comes by way of Anthropic's own."""
    result = {"role": "tool", "tool_call_id": "a", "content": "no such city"}
    asked = {"role": "assistant", "tool_calls": [call("a")]}
    (block,) = talk(user("x"), asked, {**result, "is_error": True}).turns[-1]["content"]
    assert block["is_error"] is True
    (block,) = talk(user("x"), asked, result).turns[-1]["content"]
    assert "is_error" not in block
