import json
from typing import Any

import pytest

from llm_core.errors import ProviderUnavailable
from llm_core.providers.anthropic import AnthropicTranslator
from llm_core.providers.anthropic.response import (
    finish_reason_from_anthropic,
    usage_from_anthropic,
)
from llm_core.providers.translator import Translated
from llm_core.tokens.usage import TokenUsage


def read(*content: dict[str, Any], **fields: object) -> Translated:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": content,
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 2},
        **fields,
    }
    return AnthropicTranslator().response(json.dumps(message).encode())


def said(translated: Translated) -> dict[str, Any]:
    return translated.body["choices"][0]["message"]


def test_text_blocks_are_joined_and_unknown_blocks_passed_over():
    answer = said(
        read({"type": "text", "text": "a"}, {"type": "new"}, {"type": "text", "text": "b"})
    )
    assert answer == {"role": "assistant", "content": "ab", "refusal": None}


def test_an_empty_answer_is_an_empty_text_and_calls_alone_have_none():
    assert said(read())["content"] == ""
    answer = said(read({"type": "tool_use", "id": "t", "name": "f", "input": {"a": "é"}}))
    assert answer["content"] is None
    assert answer["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a":"é"}'}


def test_a_refusal_is_told_with_its_reason():
    details = {"type": "refusal", "category": "bio", "explanation": "Declined."}
    translated = read(stop_reason="refusal", stop_details=details)
    assert said(translated)["refusal"] == "Declined."
    assert translated.body["choices"][0]["finish_reason"] == "content_filter"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("something_new", "stop"),
        (None, "stop"),
    ],
)
def test_every_stop_reason_has_a_finish_reason(theirs: str | None, ours: str):
    assert finish_reason_from_anthropic(theirs) == ours


def test_cache_tokens_are_added_because_our_buckets_are_inclusive():
    usage = {
        "input_tokens": 21,
        "cache_creation_input_tokens": 100,
        "cache_read_input_tokens": 1000,
        "output_tokens": 30,
        "output_tokens_details": {"thinking_tokens": 20},
    }
    assert usage_from_anthropic(usage) == TokenUsage(
        input_tokens=1121,
        cached_input_tokens=1000,
        cache_write_tokens=100,
        output_tokens=30,
        reasoning_tokens=20,
    )


@pytest.mark.parametrize("usage", [None, {}, {"input_tokens": None, "output_tokens": "3"}, []])
def test_usage_that_is_not_there_was_not_reported(usage: object):
    assert usage_from_anthropic(usage) == TokenUsage()
    assert "usage" not in read(usage=usage).body


@pytest.mark.parametrize("junk", [b"", b"{}", b"[]", b'{"content": "text"}', b"<html>", b"\xff"])
def test_a_body_that_is_no_message_is_the_providers_failure(junk: bytes):
    with pytest.raises(ProviderUnavailable):
        AnthropicTranslator().response(junk)
