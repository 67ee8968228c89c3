from typing import Any

import pytest

from llm_core.tokens.counted import LazyCounter, filled_in, texts_of
from llm_core.tokens.usage import TokenUsage, UsageSource

TEXTS = ["one two ", "three"]


def words(text: str) -> int:
    return len(text.split())


@pytest.mark.parametrize(
    ("reported", "expected", "source"),
    [
        (TokenUsage(7, output_tokens=9), TokenUsage(7, output_tokens=9), UsageSource.PROVIDER),
        (TokenUsage(0, output_tokens=0), TokenUsage(0, output_tokens=0), UsageSource.PROVIDER),
        (TokenUsage(), TokenUsage(10, output_tokens=3), UsageSource.COUNTED),
        (TokenUsage(7), TokenUsage(7, output_tokens=3), UsageSource.COUNTED),
        (TokenUsage(0), TokenUsage(0, output_tokens=3), UsageSource.COUNTED),
        # Half a report is believed where it says more than what was seen.
        (TokenUsage(output_tokens=50), TokenUsage(10, output_tokens=50), UsageSource.COUNTED),
        (TokenUsage(output_tokens=1), TokenUsage(10, output_tokens=3), UsageSource.COUNTED),
        (
            TokenUsage(7, cached_input_tokens=5),
            TokenUsage(7, cached_input_tokens=5, output_tokens=3),
            UsageSource.COUNTED,
        ),
    ],
)
def test_a_direction_nobody_reported_is_counted(
    reported: TokenUsage, expected: TokenUsage, source: UsageSource
) -> None:
    assert filled_in(reported, 10, TEXTS, words) == (expected, source)


def test_an_answer_without_words_is_not_counted() -> None:
    def never(_: str) -> int:
        raise AssertionError("the tokenizer was loaded for nothing")

    usage, source = filled_in(TokenUsage(), 10, [], never)
    assert (usage, source) == (TokenUsage(10, output_tokens=0), UsageSource.COUNTED)


def test_every_word_of_an_answer_is_found() -> None:
    said = {
        "content": "content",
        "reasoning_content": "thinking",
        "reasoning": "aloud",
        "refusal": "no",
        "audio": {"id": "a", "data": "UklGRg==", "transcript": "spoken"},
        "function_call": {"name": "older", "arguments": "{}"},
        "tool_calls": [
            {"function": {"name": "look_up", "arguments": '{"a":1}'}},
            {"type": "custom", "custom": {"name": "run", "input": "ls"}},
            {},
        ],
    }
    body = {"choices": [{"message": said}, {"delta": {"content": "more"}}, {"delta": {}}]}
    spoken = ["content", "thinking", "no", "aloud", "spoken"]
    called = ["older", "{}", "look_up", '{"a":1}', "run", "ls"]
    assert texts_of(body) == [*spoken, *called, "more"]


def test_reasoning_that_is_said_under_both_names_counts_once() -> None:
    said = {"reasoning": "so", "reasoning_content": "so"}
    assert texts_of({"choices": [{"delta": said}]}) == ["so"]
    assert texts_of({"choices": [{"delta": {"reasoning": "so"}}]}) == ["so"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"choices": None},
        {"choices": []},
        {"choices": "many"},
        {"choices": [None, 5, "x", []]},
        {"choices": [{"message": "hello"}]},
        {"choices": [{"message": {"content": ["a", 5], "tool_calls": "x"}}]},
        {"choices": [{"delta": {"tool_calls": [None, {"function": "f", "custom": 1}]}}]},
        {"choices": [{"delta": {"function_call": "f", "audio": "a", "reasoning": [1]}}]},
    ],
)
def test_what_is_no_word_is_passed_over(body: dict[str, Any]) -> None:
    """A provider's answer may hold anything, and counting it must not fail."""
    assert texts_of(body) == []


def test_the_tokenizer_counts() -> None:
    count = LazyCounter()
    assert count("hello world") == 2
    assert count("") == 0
