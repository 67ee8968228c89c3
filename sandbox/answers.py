"""What the sandbox says: a pure function of what it was asked, in no vendor's shape."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any

from sandbox.identifiers import identifier
from sandbox.schema_values import value_for
from sandbox.tokens import count, pieces, words

DEFAULT_WORDS = 24
_FILLER = words(
    "the harbour wakes early and small boats leave in good order while gulls follow them past the "
    "stone pier towards open water where every line is counted twice before the tide turns again"
)
_ECHOED_WORDS = 8
_LONGEST_ECHOED_WORD = 24


class Finish(StrEnum):
    """Why an answer ended."""

    STOP = "stop"
    STOP_SEQUENCE = "stop_sequence"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that may be called; `schema` is the JSON schema of its arguments."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """A request, as far as the answer depends on it.

    Args:
        digest: Of the canonical request without what only concerns transport.
        last_user_text: Text of the last user turn.
        is_user_turn: Whether the last message is the user's own words.
        tool_results: Texts of the tool results that end the conversation.
        tools: Those that `tool_choice` leaves open; empty when it is `none`.
        is_tool_forced: Whether a tool must be called.
        is_parallel_allowed: Whether more than one call may be made at once.
        says_before_tools: Whether a tool call is led in by a sentence, as Claude does.
        json_schema: What a JSON answer must satisfy; empty for any object, `None` for plain text.
        thinking_tokens: How long to think first.
        stops: Stop sequences.
        max_tokens: Longest output in tokens, thinking included.
        words: Length of a plain text answer.
    """

    digest: str
    last_user_text: str = ""
    is_user_turn: bool = True
    tool_results: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    is_tool_forced: bool = False
    is_parallel_allowed: bool = True
    says_before_tools: bool = False
    json_schema: Mapping[str, Any] | None = None
    thinking_tokens: int = 0
    stops: tuple[str, ...] = ()
    max_tokens: int | None = None
    words: int | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call; `arguments` is JSON text, `seed` makes its id."""

    seed: str
    name: str
    arguments: str

    @property
    def tokens(self) -> int:
        """The words of the arguments, and one for the name."""
        return 1 + count(self.arguments)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said, with everything that limits already applied."""

    thinking: str
    text: str
    calls: tuple[ToolCall, ...]
    finish: Finish
    stop_sequence: str | None = None

    @property
    def thinking_tokens(self) -> int:
        """Part of `output_tokens`."""
        return count(self.thinking)

    @property
    def output_tokens(self) -> int:
        """Thinking, text and calls."""
        return self.thinking_tokens + count(self.text) + sum(call.tokens for call in self.calls)


def answer_to(question: Question, choice: int = 0) -> Answer:
    """Answer; `choice` counts the alternatives when more than one is asked for."""
    short = question.digest[:8] + (f".{choice}" if choice else "")
    if _wants_tools(question):
        calls = _calls(question, short)
        text = f"I will call {calls[0].name}." if question.says_before_tools else ""
        return _limited(question, text, calls, Finish.TOOL_CALLS)
    return _limited(question, _text(question, short), (), Finish.STOP)


def _wants_tools(question: Question) -> bool:
    if not question.tools:
        return False
    asked = question.is_user_turn and "tool" in question.last_user_text.lower()
    return question.is_tool_forced or asked


def _calls(question: Question, short: str) -> tuple[ToolCall, ...]:
    several = question.is_parallel_allowed and "parallel" in question.last_user_text.lower()
    chosen = (question.tools * 2)[:2] if several else question.tools[:1]
    return tuple(
        ToolCall(
            seed=f"{question.digest}/{short}/{place}",
            name=tool.name,
            arguments=json.dumps(value_for(tool.schema, f"{short}-{place + 1}") or {}),
        )
        for place, tool in enumerate(chosen)
    )


def _text(question: Question, short: str) -> str:
    echo = _echo(question.last_user_text)
    if question.json_schema:
        return json.dumps(value_for(question.json_schema, short, "answer"), ensure_ascii=False)
    if question.json_schema is not None:
        return json.dumps({"answer": echo, "digest": short}, ensure_ascii=False)
    if question.tool_results:
        quoted = '" and "'.join(_echo(result) for result in question.tool_results)
        return f'Sandbox answer {short}: the tool said "{quoted}".'
    return _of_length(f'Sandbox answer {short} to "{echo}":', short, question.words)


def _echo(text: str) -> str:
    return " ".join(word[:_LONGEST_ECHOED_WORD] for word in islice(words(text), _ECHOED_WORDS))


def _of_length(start: str, short: str, length: int | None) -> str:
    wanted = length or DEFAULT_WORDS
    said = start.split(" ")[:wanted]
    offset = int(short[:4], 16)
    said += [
        _FILLER[(offset + place) % len(_FILLER)] for place in range(max(0, wanted - len(said)))
    ]
    return " ".join(said) + "."


def _limited(question: Question, text: str, calls: tuple[ToolCall, ...], finish: Finish) -> Answer:
    """Apply the stop sequences, then the longest output."""
    found = [(text.find(stop), stop) for stop in question.stops if stop and stop in text]
    stop_sequence = None
    if found:
        place, stop_sequence = min(found)
        text, calls, finish = text[:place].rstrip(), (), Finish.STOP_SEQUENCE
    thinking = _thoughts(question)
    if question.max_tokens is None:
        return Answer(thinking, text, calls, finish, stop_sequence)
    left = question.max_tokens
    thought = pieces(thinking)[:left]
    left -= len(thought)
    said = pieces(text)[:left]
    left -= len(said)
    made = []
    for call in calls:
        left -= call.tokens
        if left >= 0:
            made.append(call)
    is_cut = "".join(thought) != thinking or "".join(said) != text or len(made) < len(calls)
    return Answer(
        thinking="".join(thought),
        text="".join(said),
        calls=tuple(made),
        finish=Finish.LENGTH if is_cut else finish,
        stop_sequence=None if is_cut else stop_sequence,
    )


def _thoughts(question: Question) -> str:
    wanted = question.thinking_tokens
    return " ".join(_FILLER[place % len(_FILLER)] for place in range(wanted))


def call_id(prefix: str, call: ToolCall, length: int = 24) -> str:
    """Make the vendor's id of a call."""
    return identifier(prefix, call.seed, length)
