"""Answers on their way through screening, chunk by chunk."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from llm_core.chat.chunk import chunks_of, fold
from llm_core.screening.answer import AnswerScreen
from llm_core.screening.finders import OWN
from llm_core.screening.redact import Placeholders, Restorer, resolved

MAIL = "marked.person@example.org"
HEAD = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def chunk(finish: str | None = None, index: int = 0, **delta: Any) -> dict[str, Any]:
    return {**HEAD, "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


class Screened:
    """An answer that is looked at by our own finders."""

    def __init__(self, values: dict[str, str] | None = None, *, is_screened: bool = True) -> None:
        self.screen = AnswerScreen(Placeholders(), Restorer(values or {}), is_screened=is_screened)

    def through(
        self, chunks: Sequence[dict[str, Any]], *, is_end: bool = False
    ) -> list[dict[str, Any]]:
        texts = self.screen.take(chunks, is_end=is_end)
        found = [resolved(f for finder in OWN for f in finder.find(text)) for text in texts]
        return self.screen.give(found)

    def whole(self, *chunks: dict[str, Any]) -> dict[str, Any]:
        return fold(self.through(chunks, is_end=True))


def test_thoughts_end_before_the_words_begin_and_keep_their_order() -> None:
    answer = Screened()
    assert answer.through([chunk(reasoning_content=f"ask {MAIL[:6]}")]) == []
    assert answer.through([chunk(reasoning_content=f"{MAIL[6:]} then")]) == []
    [thought] = answer.through([chunk(content="Hello")])
    assert thought["choices"][0]["delta"] == {"reasoning_content": "ask <EMAIL_ADDRESS_1> then"}
    [said, end] = answer.through([chunk("stop")])
    assert said["choices"][0]["delta"] == {"content": "Hello"}
    assert end["choices"][0]["finish_reason"] == "stop"


def test_servers_that_say_their_thoughts_twice_hide_nothing_by_it() -> None:
    pieces = [MAIL[at : at + 3] for at in range(0, len(MAIL), 3)]
    body = Screened().whole(*(chunk(reasoning=p, reasoning_content=p) for p in pieces))
    message = body["choices"][0]["message"]
    assert message["reasoning"] == message["reasoning_content"] == "<EMAIL_ADDRESS_1>"


def test_each_choice_is_held_back_by_itself() -> None:
    body = Screened().whole(
        chunk(content="a " + MAIL[:5]),
        chunk(index=1, content="b " + MAIL[:9]),
        chunk(content=MAIL[5:]),
        chunk(index=1, content=MAIL[9:]),
        chunk("stop"),
        chunk("length", index=1),
    )
    said = [(c["message"]["content"], c["finish_reason"]) for c in body["choices"]]
    assert said == [("a <EMAIL_ADDRESS_1>", "stop"), ("b <EMAIL_ADDRESS_1>", "length")]


def test_calls_that_come_interleaved_are_whole_in_the_end() -> None:
    def call(index: int, text: str, **more: Any) -> dict[str, Any]:
        return {"index": index, "function": {"arguments": text, **more.pop("made", {})}, **more}

    body = Screened().whole(
        chunk(tool_calls=[call(0, '{"a":"', id="c0", type="function", made={"name": "f"})]),
        chunk(tool_calls=[call(1, '{"b":41111111', id="c1", made={"name": "g"})]),
        chunk(tool_calls=[call(0, f'{MAIL}"}}')]),
        chunk(tool_calls=[call(1, "11111111}")]),
        chunk("tool_calls"),
    )
    first, second = body["choices"][0]["message"]["tool_calls"]
    assert (first["id"], first["type"], first["function"]["name"]) == ("c0", "function", "f")
    assert json.loads(first["function"]["arguments"]) == {"a": "<EMAIL_ADDRESS_1>"}
    assert json.loads(second["function"]["arguments"]) == {"b": "<CREDIT_CARD_1>"}


def test_a_call_of_the_older_kind_is_one_too() -> None:
    body = Screened().whole(
        chunk(function_call={"name": "f", "arguments": '{"a":"'}),
        chunk(function_call={"arguments": f'{MAIL}"}}'}),
        chunk("function_call"),
    )
    made = body["choices"][0]["message"]["function_call"]
    assert made == {"name": "f", "arguments": '{"a":"<EMAIL_ADDRESS_1>"}'}


def test_usage_comes_once_and_last() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    sent = Screened().through(
        [chunk(content="hi"), chunk("stop"), {**HEAD, "choices": [], "usage": usage}], is_end=True
    )
    assert [one.get("usage") for one in sent if "usage" in one] == [usage]
    assert sent[-1]["usage"] == usage


def test_where_placeholders_are_restored_only_other_members_go_on() -> None:
    answer = Screened({"<X_1>": "word"}, is_screened=False)
    body = answer.whole(
        chunk(content="the <X", annotations=[{"a": 1}]), chunk(content="_1>"), chunk("stop")
    )
    assert body["choices"][0]["message"]["content"] == "the word"
    assert body["choices"][0]["message"]["annotations"] == [{"a": 1}]


WHOLE: dict[str, Any] = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "system_fingerprint": "fp",
    "service_tier": "default",
    "citations": ["a"],
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "logprobs": {"content": [{"token": "a", "logprob": -1}]},
            "message": {
                "role": "assistant",
                "content": "a",
                "refusal": "a",
                "reasoning_content": "a",
                "reasoning": "a",
                "brand_new": "a",
                "annotations": [{"type": "url_citation", "title": "a"}],
                "audio": {"id": "a", "transcript": "a"},
                "thinking_blocks": [{"type": "thinking", "thinking": "a", "signature": "s"}],
                "extra_content": {"google": {"thought_signature": "s", "note": "a"}},
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "note": "a",
                        "function": {"name": "f", "arguments": '{"a": {"b": ["c"]}}', "note": "a"},
                    },
                    {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "a"}},
                ],
            },
        }
    ],
}


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list):
        for at, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(one, (*path, at))
    elif isinstance(value, str):
        yield path


@pytest.mark.parametrize("path", list(leaves(WHOLE)), ids=lambda path: ".".join(map(str, path)))
def test_a_mark_anywhere_in_an_answer_reaches_no_client(path: tuple[Any, ...]) -> None:
    body = json.loads(json.dumps(WHOLE))
    at = body
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = f'{{"x": "{MAIL}"}}' if path[-1] == "arguments" else f"is {MAIL} it"
    told = Screened().whole(*chunks_of(body))
    assert "marked" not in json.dumps(told)
    assert told["choices"][0]["message"]["tool_calls"][1]["custom"]["input"]


def test_what_is_said_in_the_middle_of_a_call_splits_neither() -> None:
    body = Screened().whole(
        chunk(content=f"ask {MAIL[:7]}"),
        chunk(
            tool_calls=[{"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"a":"'}}]
        ),
        chunk(content=f"{MAIL[7:]} now"),
        chunk(tool_calls=[{"index": 0, "function": {"arguments": f'{MAIL}"}}'}}]),
        chunk("tool_calls"),
    )
    message = body["choices"][0]["message"]
    assert message["content"] == "ask <EMAIL_ADDRESS_1> now"
    assert message["tool_calls"][0]["function"]["arguments"] == '{"a":"<EMAIL_ADDRESS_1>"}'
