"""A request as its last user turn and everything around it, to find questions that are near.

Two questions may only be near one another when all but the words of the last turn is the same: the
model, the instructions, the conversation so far, the tools, every parameter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_core.digest import canonical, sha256_hex
from llm_core.operation import Operation
from llm_core.policy.cache_key import TRAVEL_FIELDS

MOST_CHARS = 8_000
"""What is longer is a document, and documents that are near one another differ in what matters."""
_TEXT_PARTS = frozenset({"text", "input_text"})
_TURNS_IN = {
    Operation.CHAT_COMPLETIONS: "messages",
    Operation.MESSAGES: "messages",
    Operation.RESPONSES: "input",
    Operation.COMPLETIONS: "prompt",
}


@dataclass(frozen=True, slots=True)
class LastTurn:
    """What the user said last.

    Args:
        text: Its words; not empty.
        setting: SHA-256, hex, of everything else.
    """

    text: str
    setting: str


def last_turn(operation: Operation, fields: Mapping[str, Any]) -> LastTurn | None:
    """Split a request; `None` where the last turn is not the user's, or is not text alone.

    Raises:
        MalformedRequest: It is nested too deeply.
    """
    name = _TURNS_IN.get(operation)
    turns = fields.get(name) if name else None
    if isinstance(turns, str):
        text, around = turns, None
    elif isinstance(turns, list) and turns and isinstance(turns[-1], dict):
        text, around = _said(turns[-1]), [*turns[:-1], {**turns[-1], "content": None}]
    else:
        return None
    if not text.strip() or len(text) > MOST_CHARS:
        return None
    rest = {key: value for key, value in fields.items() if key not in TRAVEL_FIELDS}
    return LastTurn(text, sha256_hex(canonical({**rest, str(name): around})))


def _said(turn: Mapping[str, Any]) -> str:
    if turn.get("role") != "user":
        return ""
    content = turn.get("content")
    if isinstance(content, str):
        return content
    return _joined(content) if isinstance(content, list) else ""


def _joined(parts: Sequence[Any]) -> str:
    """The text of a turn that is nothing but text."""
    texts: list[str] = []
    for part in parts:
        # More than a text (an image, a file, a mark for the provider's cache) is not compared.
        if not isinstance(part, dict) or part.keys() != {"type", "text"}:
            return ""
        if part["type"] not in _TEXT_PARTS or not isinstance(part["text"], str):
            return ""
        texts.append(part["text"])
    return "\n".join(texts)
