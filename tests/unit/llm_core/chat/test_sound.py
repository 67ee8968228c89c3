"""Answers are mended where a server has sent another type, and otherwise left alone."""

from typing import Any

import pytest

from llm_core.chat.chunk import fold
from llm_core.chat.sound import sound

CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def answer(**said: Any) -> dict[str, Any]:
    return {"id": "1", "choices": [{"index": 0, "message": said, "finish_reason": "stop"}]}


def test_an_answer_in_openais_shape_stays_the_very_same():
    given = answer(content="x", refusal=None, tool_calls=[CALL], something_new={"a": 1})
    assert sound(given) is given


@pytest.mark.parametrize(
    ("said", "mended"),
    [
        ({"content": ["x", {"type": "text", "text": "a"}, {"text": "b"}]}, {"content": "ab"}),
        ({"content": 7}, {"content": None}),
        ({"refusal": {}}, {"refusal": None}),
        ({"tool_calls": 5}, {"tool_calls": None}),
        ({"tool_calls": [None, CALL]}, {"tool_calls": [CALL]}),
        ({"tool_calls": [{**CALL, "index": []}]}, {"tool_calls": [{**CALL, "index": 0}]}),
        ({"thinking_blocks": ["x", {"type": "t"}]}, {"thinking_blocks": [{"type": "t"}]}),
        ({"function_call": {"name": [], "arguments": "x"}}, {"function_call": {"arguments": "x"}}),
    ],
)
def test_a_member_of_another_type_is_mended(said: dict[str, Any], mended: dict[str, Any]):
    message = sound(answer(**said))["choices"][0]["message"]
    told = fold([{"choices": [{"index": 0, "delta": message}]}])["choices"][0]["message"]
    wanted = fold([{"choices": [{"index": 0, "delta": mended}]}])["choices"][0]["message"]
    told.get("function_call", {}).pop("name", None)
    assert told == wanted


def test_choices_that_are_none_are_left_out():
    given = {"choices": [None, 1, {"index": 0, "text": 5, "logprobs": {"tokens": 3}}]}
    choice = {"index": 0, "text": None, "logprobs": {"tokens": None}}
    assert sound(given) == {"choices": [choice]}
    assert given["choices"][0] is None
