import json
from typing import Any

import pytest

from llm_core.chat.request import ChatRequest
from llm_core.errors import MalformedRequest
from llm_core.tokens import estimate
from llm_core.tokens.estimate import estimate_prompt_tokens, openai_counter


def words(text: str) -> int:
    return len(text.split())


def request(*contents: object, **fields: object) -> ChatRequest:
    messages = [{"role": "user", "content": content} for content in contents]
    body = {"model": "m", "messages": messages, **fields}
    return ChatRequest.parse(json.dumps(body).encode())


def test_a_message_costs_its_text_and_its_frame():
    assert estimate_prompt_tokens(request("one two three"), words) == 3 + 4 + 3
    assert estimate_prompt_tokens(request("one", "two"), words) == 2 + 2 * 4 + 3


def test_parts_names_calls_and_results_are_counted():
    messages = [
        {"role": "user", "name": "ada", "content": [{"type": "text", "text": "one two"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "three"},
    ]
    plain = estimate_prompt_tokens(request("one two three"), words)
    assert estimate_prompt_tokens(request(messages=messages), words) > plain + 2 * 12


@pytest.mark.parametrize(
    ("part", "tokens"),
    [
        ({"type": "image_url", "image_url": {"url": "u"}}, estimate.IMAGE_TOKENS),
        ({"type": "image_url", "image_url": {"url": "u", "detail": "high"}}, estimate.IMAGE_TOKENS),
        (
            {"type": "image_url", "image_url": {"url": "u", "detail": "low"}},
            estimate.LOW_DETAIL_IMAGE_TOKENS,
        ),
        ({"type": "input_audio", "input_audio": {"data": "x" * 5300, "format": "mp3"}}, 11),
        ({"type": "file", "file": {"file_id": "f"}}, estimate.STORED_FILE_TOKENS),
        ({"type": "file", "file": {"file_data": "x" * 1000}}, 101),
        ({"type": "video_url", "video_url": "u"}, 1),
    ],
)
def test_a_part_that_is_no_text_costs_its_documented_number(part: dict[str, Any], tokens: int):
    assert estimate_prompt_tokens(request([part]), words) == tokens + 4 + 3


def test_tools_and_the_answers_schema_are_counted():
    plain = estimate_prompt_tokens(request("hi"), len)
    tools = [{"type": "function", "function": {"name": "f", "description": "d" * 100}}]
    assert estimate_prompt_tokens(request("hi", tools=tools), len) > plain + 100 + 350
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"title": "t" * 100}}}
    assert estimate_prompt_tokens(request("hi", response_format=schema), len) > plain + 100


LONG = "x" * 1000


@pytest.mark.parametrize(
    "members",
    [
        {"function_call": {"name": "f", "arguments": LONG}},
        {"reasoning": LONG},
        {"reasoning_content": LONG},
        {"refusal": LONG},
        {"thinking_blocks": [{"type": "thinking", "thinking": LONG}]},
        {"documents": [{"title": "t", "text": LONG}]},
        {"tool_call_id": LONG},
        {"name": [LONG]},
        {"something_new": {LONG: 1}},
    ],
    ids=lambda members: next(iter(members)),
)
def test_no_member_of_a_message_goes_uncounted(members: dict[str, Any]):
    messages = [{"role": "assistant", "content": "hi", **members}]
    assert estimate_prompt_tokens(request(messages=messages), len) > len(LONG)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "text", "text": "hi", "hidden": LONG},
        {"type": "file", "file": {"file_data": [LONG]}},
        {"type": "file", "file": {"file_data": "x", "filename": LONG}},
        {"type": "input_audio", "input_audio": {"data": {"x": LONG}}},
        {"type": "image_url", "image_url": {"url": "u", "detail": "low", "alt": LONG}},
        {"type": "image_url", "image_url": {"url": "u", "detail": "low"}, "caption": LONG},
    ],
)
def test_no_member_of_a_part_goes_uncounted(part: dict[str, Any]):
    media_tokens = estimate.LOW_DETAIL_IMAGE_TOKENS if part["type"] == "image_url" else 0
    assert estimate_prompt_tokens(request([part]), len) > media_tokens + len(LONG)


@pytest.mark.parametrize(
    "name",
    ["chat_template", "guided_json", "prediction", "function_call", "audio", "something_new"],
)
def test_no_field_goes_uncounted(name: str):
    for value in (LONG, {"content": LONG}, [LONG]):
        assert estimate_prompt_tokens(request("hi", **{name: value}), len) > len(LONG)


def test_settings_cost_nothing():
    settings = {"temperature": 0.5, "n": 2, "stream": True, "seed": 7, "top_logprobs": None}
    format_ = {"type": "json_object"}
    plain = estimate_prompt_tokens(request("hi"), len)
    assert estimate_prompt_tokens(request("hi", **settings, response_format=format_), len) == plain


def test_tools_and_functions_both_count():
    function = {"name": "f", "description": LONG}
    tools = [{"type": "function", "function": function}]
    both = estimate_prompt_tokens(request("hi", tools=tools, functions=[function]), len)
    assert both > 2 * (len(LONG) + estimate.TOOLS_OVERHEAD_TOKENS)


def test_a_file_that_is_stored_and_sent_counts_as_both():
    file = {"file_data": "x" * 1000, "file_id": "f"}
    estimated = estimate_prompt_tokens(request([{"type": "file", "file": file}]), words)
    assert estimated == estimate.STORED_FILE_TOKENS + 101 + 4 + 3


def test_what_is_too_deep_to_be_written_is_refused():
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    for fields in ({"tools": deep}, {"something_new": deep}):
        asked = ChatRequest({"model": "m", "messages": [], **fields})
        with pytest.raises(MalformedRequest, match="nested too deeply"):
            estimate_prompt_tokens(asked, len)


def test_openais_tokeniser_counts_as_published():
    """The cookbook's own example for o200k_base."""
    count = openai_counter()
    assert count("antidisestablishmentarianism") == 6
    assert count("2 + 2 = 4") == 7
    assert count("お誕生日おめでとう") == 8
    assert openai_counter() is count


def test_the_estimate_leans_above_what_openai_counts():
    """The cookbook's example messages; gpt-4o-mini counts 124 tokens for them."""
    system, assistant = "system", "system"
    messages = [
        {
            "role": system,
            "content": "You are a helpful, pattern-following assistant that translates corporate "
            "jargon into plain English.",
        },
        {
            "role": system,
            "name": "example_user",
            "content": "New synergies will help drive top-line growth.",
        },
        {
            "role": assistant,
            "name": "example_assistant",
            "content": "Things working well together will increase revenue.",
        },
        {
            "role": system,
            "name": "example_user",
            "content": "Let's circle back when we have more bandwidth to touch base on "
            "opportunities for increased leverage.",
        },
        {
            "role": system,
            "name": "example_assistant",
            "content": "Let's talk later when we're less busy about how to do better.",
        },
        {
            "role": "user",
            "content": "This late pivot means we don't have time to boil the ocean for the client "
            "deliverable.",
        },
    ]
    estimated = estimate_prompt_tokens(request(messages=messages), openai_counter())
    assert 124 <= estimated <= 140


def test_texts_without_spaces_and_of_millions_of_characters_are_counted():
    """Quadratic tokenisers take minutes here, and the library's own wrapper refuses."""
    count = openai_counter()
    assert count("a" * 3_000_000) > 100_000
    assert count("<|endoftext|>") > 1


def test_an_unknown_encoding_is_refused():
    with pytest.raises(ValueError, match="nope"):
        openai_counter("nope")
