"""Which strings of a request are words, in every API."""

import json
from typing import Any

import pytest

from llm_core.apis.registry import read_ask
from llm_core.operation import Operation
from llm_core.screening.words import Source, Unreadable, reworded, reworded_json, words_of

CHAT = Operation.CHAT_COMPLETIONS


def texts(operation: Operation, fields: dict[str, Any]) -> list[str]:
    return [word.text for word in words_of(operation, fields)]


def test_messages_of_all_roles_their_parts_calls_and_results_are_words() -> None:
    arguments = json.dumps({"to": "anna@example.org", "card": 4111111111111111, "count": 3})
    fields = {
        "model": "mini",
        "user": "employee-7",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "name": "anna", "content": [{"type": "text", "text": "Hello"}]},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "mail", "arguments": arguments},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": '{"name": "B\\u00f6b"}'},
        ],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "mail",
                    "description": "Sends mail.",
                    "parameters": {
                        "type": "object",
                        "properties": {"to": {"type": "string", "description": "To whom"}},
                        "required": ["to"],
                    },
                },
            }
        ],
    }
    read_ask(CHAT, json.dumps(fields).encode())
    found = texts(CHAT, fields)
    for word in ("employee-7", "Be kind.", "anna", "Hello", "anna@example.org", "Böb",
                 "4111111111111111", "Sends mail.", "To whom"):  # fmt: skip
        assert word in found
    for structure in ("mini", "call_1", "function", "mail", "user", "system", "string", "text"):
        assert structure not in found


def test_whose_words_they_are_goes_by_role_and_kind() -> None:
    fields = {
        "model": "m",
        "instructions": "system words",
        "input": [
            {"role": "user", "content": "user words"},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a": "called"}'},
            {"type": "function_call_output", "call_id": "c", "output": "tool words"},
        ],
    }
    found = {word.text: word.source for word in words_of(Operation.RESPONSES, fields)}
    assert found["system words"] is Source.SYSTEM
    assert found["user words"] is Source.USER
    assert found["called"] is Source.ASSISTANT
    assert found["tool words"] is Source.TOOL


def test_a_request_with_other_words_is_the_same_request_otherwise() -> None:
    fields = {
        "model": "m",
        "max_tokens": 5,
        "system": [{"type": "text", "text": "one", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": "two"},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"a": "three"}}],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "t", "content": "four"}],
            },
        ],
    }
    found = texts(Operation.MESSAGES, fields)
    assert found == ["one", "two", "a", "three", "four"]
    changed = reworded(Operation.MESSAGES, fields, ["1", "2", "a", "3", "4"])
    expected = json.dumps(fields)
    for old, new in (("one", "1"), ("two", "2"), ("three", "3"), ("four", "4")):
        expected = expected.replace(f'"{old}"', f'"{new}"')
    assert changed == json.loads(expected)
    assert reworded(Operation.MESSAGES, fields, found) == fields
    read_ask(Operation.MESSAGES, json.dumps(changed).encode())


def test_a_member_that_nobody_knows_is_words() -> None:
    fields = {"model": "m", "messages": [], "brand_new": {"deep": [{"note": "anna"}]}}
    assert texts(CHAT, fields) == ["anna"]


@pytest.mark.parametrize(
    ("operation", "fields", "what"),
    [
        (CHAT, {"messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "https://x.test"}}]}]}, "image"),
        (CHAT, {"messages": [{"role": "user", "content": [{"type": "brand_new"}]}]}, "content"),
        (CHAT, {"messages": [], "modalities": ["text", "audio"]}, "audio"),
        (CHAT, {"messages": [{"role": "user", "content": "data:image/png;base64,AA=="}]}, "file"),
        (Operation.MESSAGES, {"messages": [{"role": "user", "content": [
            {"type": "document", "source": {"type": "base64", "data": "AA=="}}]}]}, "file"),
        (Operation.MESSAGES, {"messages": [{"role": "user", "content": [
            {"type": "tool_result", "content": [
                {"type": "image", "source": {"type": "url", "url": "u"}}]}]}]}, "image"),
        (Operation.RESPONSES, {"input": [{"role": "user", "content": [
            {"type": "input_image", "image_url": "https://x.test"}]}]}, "image"),
        (Operation.RESPONSES, {"input": [{"type": "function_call_output", "output": [
            {"type": "input_file", "file_url": "https://x.test"}]}]}, "file"),
        (Operation.EMBEDDINGS, {"input": [1, 2]}, "tokens"),
        (Operation.EMBEDDINGS, {"input": [[1], [2]]}, "tokens"),
        (Operation.COMPLETIONS, {"prompt": ["a", [1]]}, "tokens"),
    ],
)  # fmt: skip
def test_what_is_no_text_cannot_be_read(
    operation: Operation, fields: dict[str, Any], what: str
) -> None:
    with pytest.raises(Unreadable) as fault:
        words_of(operation, fields)
    assert fault.value.what == what


def test_an_escaped_character_in_arguments_hides_nothing() -> None:
    said = []

    def note(text: str) -> str:
        said.append(text)
        return text

    written = '{"to":"anna\\u0040example.org"}'
    assert reworded_json(written, note) == written
    assert "anna@example.org" in said


def test_arguments_that_say_a_member_twice_are_looked_at_as_text() -> None:
    """A parser that keeps the last of two would let the first go by."""
    said = []

    def note(text: str) -> str:
        said.append(text)
        return text

    written = '{"to": "anna@example.org", "to": "nobody"}'
    assert reworded_json(written, note) == written
    assert said == [written]


def test_a_long_number_becomes_a_text_when_it_is_replaced() -> None:
    changed = reworded_json(
        '{"card":4111111111111111,"n":12}', lambda text: "<X_1>" if text.isdigit() else text
    )
    assert json.loads(changed) == {"card": "<X_1>", "n": 12}
