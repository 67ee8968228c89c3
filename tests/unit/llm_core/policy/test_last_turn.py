from typing import Any

import pytest

from llm_core.operation import Operation
from llm_core.policy.last_turn import MOST_CHARS, last_turn

CHAT, MESSAGES = Operation.CHAT_COMPLETIONS, Operation.MESSAGES
RESPONSES, COMPLETIONS = Operation.RESPONSES, Operation.COMPLETIONS


def user(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **more}


def text(words: str, kind: str = "text") -> dict[str, str]:
    return {"type": kind, "text": words}


@pytest.mark.parametrize(
    ("operation", "fields", "said"),
    [
        (CHAT, {"messages": [user("hi")]}, "hi"),
        (CHAT, {"messages": [user("one"), user([text("a"), text("b")])]}, "a\nb"),
        (MESSAGES, {"messages": [user([text("hi")])]}, "hi"),
        (RESPONSES, {"input": "hi"}, "hi"),
        (RESPONSES, {"input": [user([text("hi", "input_text")])]}, "hi"),
        (COMPLETIONS, {"prompt": "hi"}, "hi"),
    ],
)
def test_the_last_turn_is_what_the_user_said(
    operation: Operation, fields: dict[str, Any], said: str
) -> None:
    turn = last_turn(operation, {"model": "m", **fields})
    assert turn is not None
    assert turn.text == said


@pytest.mark.parametrize(
    ("operation", "fields"),
    [
        (CHAT, {"messages": []}),
        (CHAT, {"messages": [user("")]}),
        (CHAT, {"messages": [user("  ")]}),
        (CHAT, {"messages": [user("x" * (MOST_CHARS + 1))]}),
        (CHAT, {"messages": [user("hi"), {"role": "assistant", "content": "x"}]}),
        (CHAT, {"messages": [user("hi"), {"role": "tool", "content": "x"}]}),
        (CHAT, {"messages": [user([text("hi"), {"type": "image_url", "image_url": {}}])]}),
        (MESSAGES, {"messages": [user([{**text("hi"), "cache_control": {}}])]}),
        (MESSAGES, {"messages": [user([{"type": "tool_result", "text": "x"}])]}),
        (RESPONSES, {}),
        (RESPONSES, {"input": [{"type": "function_call_output", "output": "x"}]}),
        (COMPLETIONS, {"prompt": ["a", "b"]}),
        (COMPLETIONS, {"prompt": [1, 2]}),
        (Operation.EMBEDDINGS, {"input": "hi"}),
        (Operation.MODELS, {}),
    ],
)
def test_what_is_not_the_users_text_alone_has_no_near_questions(
    operation: Operation, fields: dict[str, Any]
) -> None:
    assert last_turn(operation, {"model": "m", **fields}) is None


def setting(**fields: Any) -> str:
    asked = {"model": "m", "messages": [user("before"), user("now")], **fields}
    turn = last_turn(CHAT, asked)
    assert turn is not None
    return turn.setting


def test_the_words_and_the_way_they_travel_are_no_part_of_the_setting() -> None:
    one = setting()
    assert one == setting(messages=[user("before"), user("something else")])
    assert one == setting(stream=True, stream_options={"include_usage": True})


def test_everything_else_is_part_of_the_setting() -> None:
    others = [
        setting(),
        setting(model="n"),
        setting(temperature=0),
        setting(tools=[]),
        setting(messages=[user("now")]),
        setting(messages=[user("earlier"), user("now")]),
        setting(messages=[user("before"), user("now", name="ada")]),
        setting(messages=[{"role": "system", "content": "x"}, user("before"), user("now")]),
    ]
    assert len(set(others)) == len(others)
