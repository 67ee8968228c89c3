import json
from typing import Any

import pytest

from llm_core.chat.request import ChatRequest
from llm_core.tokens import estimate
from llm_core.tokens.estimate import count_output_tokens, estimate_prompt_tokens, openai_counter


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
    assert count_output_tokens("hello world", count) == 2


def test_an_unknown_encoding_is_refused():
    with pytest.raises(ValueError, match="nope"):
        openai_counter("nope")
