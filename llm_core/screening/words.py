"""Which strings of a request are words, whatever API it came in.

Closed by default: every string is one, but for members that say what something is (`type`, `role`,
ids, names of tools) and for what a provider has sealed; and those only where they are a single
token. A member that an API gets tomorrow is screened today.

What stands in tools' arguments and results is data: there member names and long numbers are words
too. A text that is a JSON object or list is read as one, so that an escaped character hides
nothing.

What cannot be read is refused: images, sound, files, and prompts that come as token numbers.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from llm_core.apis.responses.thoughts import is_ours, sealed, unsealed
from llm_core.nesting import is_too_deep
from llm_core.operation import Operation

_Object = dict[str, Any]
_LEAST_DIGITS = 7
"""A shorter number names nobody."""

TOKEN = re.compile(r"[\w.:/$#*+=-]*", re.ASCII)
"""What a name or an id looks like; never an address of mail, nor two words."""
_STRUCTURE = frozenset(
    {
        "role",
        "type",
        "id",
        "object",
        "call_id",
        "tool_call_id",
        "tool_use_id",
        "status",
        "service_tier",
        "reasoning_effort",
        "effort",
        "detail",
        "media_type",
        "syntax",
        "ttl",
    }
)
"""Members that say what something is."""

_SEALED = frozenset({"encrypted_content", "signature", "thought_signature"})
"""Members that only their provider can read, and only unchanged."""


class Source(StrEnum):
    """Whose words they are."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


_SCHEMAS = frozenset({"parameters", "input_schema", "schema"})
_OF_A_SCHEMA = frozenset({"type", "$ref", "format"})
_OF_THE_SYSTEM = frozenset({"system", "instructions", "tools", "functions", "response_format"})
_READABLE_PARTS = frozenset(
    {
        "text",
        "input_text",
        "output_text",
        "refusal",
        "tool_use",
        "tool_result",
        "thinking",
        "redacted_thinking",
        "reasoning_text",
        "summary_text",
        "search_result",
        "document",
    }
)
_SAID_BY = {
    "system": Source.SYSTEM,
    "developer": Source.SYSTEM,
    "user": Source.USER,
    "assistant": Source.ASSISTANT,
    "tool": Source.TOOL,
    "function": Source.TOOL,
    "tool_result": Source.TOOL,
    "function_call_output": Source.TOOL,
    "custom_tool_call_output": Source.TOOL,
    "tool_use": Source.ASSISTANT,
    "function_call": Source.ASSISTANT,
    "custom_tool_call": Source.ASSISTANT,
    "reasoning": Source.ASSISTANT,
}
"""Who speaks, by a message's role or an item's type."""
_UNREADABLE_SOURCES = frozenset({"base64", "url", "file"})


@dataclass(frozen=True, slots=True)
class Word:
    """A text in a request."""

    text: str
    source: Source


class Unreadable(ValueError):
    """Something in a request cannot be screened.

    Args:
        what: `image`, `audio`, `file`, `tokens` or `content`.
        param: Where it stands.
    """

    def __init__(self, what: str, param: str) -> None:
        super().__init__(f"{what} at {param}")
        self.what = what
        self.param = param


def words_of(operation: Operation, fields: Mapping[str, Any]) -> list[Word]:
    """Every text of a request, in a fixed order.

    Args:
        operation: In which API it came.
        fields: The request, checked.

    Raises:
        Unreadable: It holds something that is no text.
    """
    found: list[Word] = []

    def take(text: str, source: Source) -> str:
        found.append(Word(text, source))
        return text

    _Walk(take).request(operation, fields)
    return found


def refuse_sound(fields: Mapping[str, Any]) -> None:
    """Refuse a request for an answer that is spoken.

    Raises:
        Unreadable: It is one.
    """
    modalities = fields.get("modalities")
    if isinstance(modalities, list) and "audio" in modalities:
        raise Unreadable("audio", "modalities")


def reworded(
    operation: Operation, fields: Mapping[str, Any], texts: Sequence[str]
) -> dict[str, Any]:
    """The request with other texts in the places of its own.

    Args:
        operation: In which API it came.
        fields: The request.
        texts: One for each that `words_of` gave, in its order.
    """
    rest = iter(texts)
    return _Walk(lambda _text, _source: next(rest)).request(operation, fields)


def reworded_json(text: str, say: Callable[[str], str]) -> str:
    """A text that is a JSON object or list with other words in it; any other text as it is said.

    Args:
        text: For example a call's arguments.
        say: Gives what a word becomes.
    """
    return _Walk(lambda word, _source: say(word)).data_text(text, Source.ASSISTANT)


class _Walk:
    """Goes through a request and puts what `say` returns in the place of each word."""

    def __init__(self, say: Callable[[str, Source], str]) -> None:
        self._say = say

    def request(self, operation: Operation, fields: Mapping[str, Any]) -> _Object:
        """The whole request."""
        refuse_sound(fields)
        for name in ("input", "prompt"):
            if _is_numbered(fields.get(name)):
                raise Unreadable("tokens", name)
        return {name: self._top(operation, name, value, name) for name, value in fields.items()}

    def _top(self, operation: Operation, name: str, value: object, where: str) -> object:
        source = Source.SYSTEM if name in _OF_THE_SYSTEM else Source.USER
        if name == "metadata" and operation is not Operation.MESSAGES:
            return self._data(value, source)
        return self._member({}, name, value, source, where)

    def _object(self, value: Mapping[str, Any], source: Source, where: str) -> _Object:
        source = _source_of(value, source)
        _refuse_source(value, where)
        return {
            name: self._member(value, name, member, source, f"{where}.{name}")
            for name, member in value.items()
        }

    def _member(
        self, owner: Mapping[str, Any], name: str, value: object, source: Source, where: str
    ) -> object:
        if name in _SEALED and isinstance(value, str) and TOKEN.fullmatch(value):
            return self._sealed(value, source, where)
        if _is_structure(owner, name, value):
            return value
        if name in _SCHEMAS:
            return self._schema(value, source)
        if name == "arguments" or (name == "input" and owner.get("type") == "tool_use"):
            return self._data(value, source)
        if name in ("content", "output") and isinstance(value, list):
            _refuse_unreadable(value, where)
        return self._protocol(value, source, where)

    def _sealed(self, value: str, source: Source, where: str) -> str:
        """What only a provider can read stays; what we have sealed holds a model's thoughts."""
        if not is_ours(value):
            return value
        blocks = unsealed(value)
        changed = self._protocol(blocks, source, where)
        return value if changed == blocks or not isinstance(changed, list) else sealed(changed)

    def _protocol(self, value: object, source: Source, where: str) -> object:
        if isinstance(value, str):
            if value.startswith("data:") and ";base64," in value[:200]:
                raise Unreadable("file", where)
            return self.data_text(value, source)
        if isinstance(value, dict):
            return self._object(value, source, where)
        if isinstance(value, list):
            return [self._protocol(one, source, f"{where}[{i}]") for i, one in enumerate(value)]
        return value

    def _schema(self, value: object, source: Source) -> object:
        if isinstance(value, str):
            return self._say(value, source)
        if isinstance(value, dict):
            return {
                name: one
                if name in _OF_A_SCHEMA and isinstance(one, str) and TOKEN.fullmatch(one)
                else self._schema(one, source)
                for name, one in value.items()
            }
        return [self._schema(one, source) for one in value] if isinstance(value, list) else value

    def data_text(self, text: str, source: Source) -> str:
        """A text, or the JSON it holds; the very same text when nothing in it has changed."""
        data = _data_in(text)
        if data is None:
            return self._say(text, source)
        changed = self._data(data, source)
        if changed == data:
            return text
        # Not msgspec, whose numbers end at 64 bits.
        return json.dumps(changed, ensure_ascii=False, separators=(",", ":"))

    def _data(self, value: object, source: Source) -> object:
        if isinstance(value, str):
            return self.data_text(value, source)
        if isinstance(value, dict):
            return {self._say(k, source): self._data(one, source) for k, one in value.items()}
        if isinstance(value, list):
            return [self._data(one, source) for one in value]
        return self._number(value, source)

    def _number(self, value: object, source: Source) -> object:
        if not isinstance(value, int) or isinstance(value, bool):
            return value
        written = str(value)
        if len(written) < _LEAST_DIGITS:
            return value
        said = self._say(written, source)
        return value if said == written else said


def _is_structure(owner: Mapping[str, Any], name: str, value: object) -> bool:
    if name == "model":
        return True  # the route's, by the time it is sent
    if not isinstance(value, str) or not TOKEN.fullmatch(value):
        return False
    if name == "name":
        # A tool's; a speaker's is a word.
        return "role" not in owner
    if name == "data":
        return owner.get("type") == "redacted_thinking"
    return name in _STRUCTURE


def _source_of(value: Mapping[str, Any], source: Source) -> Source:
    for name in ("role", "type"):
        said = value.get(name)
        if isinstance(said, str) and said in _SAID_BY:
            return _SAID_BY[said]
    return source


def _refuse_unreadable(parts: Sequence[object], where: str) -> None:
    for index, part in enumerate(parts):
        kind = part.get("type", "text") if isinstance(part, dict) else "text"
        if kind not in _READABLE_PARTS:
            raise Unreadable(_what(str(kind)), f"{where}[{index}]")


def _refuse_source(value: Mapping[str, Any], where: str) -> None:
    given = value.get("source")
    if isinstance(given, dict) and given.get("type") in _UNREADABLE_SOURCES:
        raise Unreadable(_what(str(value.get("type"))), where)


def _what(kind: str) -> str:
    for what in ("image", "audio", "file"):
        if what in kind:
            return what
    return "file" if kind == "document" else "content"


def _is_numbered(value: object) -> bool:
    """Whether a prompt came, in part at least, as the numbers of its tokens."""
    return isinstance(value, list) and any(
        isinstance(one, int) or (isinstance(one, list) and one and isinstance(one[0], int))
        for one in value
    )


def _data_in(text: str) -> object:
    """The object or list that a text is; `None` when it is none, or not plainly one."""
    if text.lstrip()[:1] not in ("{", "[") or is_too_deep(text):
        return None
    try:
        return json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return None


def _once(pairs: list[tuple[str, Any]]) -> _Object:
    members = dict(pairs)
    if len(members) != len(pairs):
        # One of the two would go unseen, and out.
        raise ValueError("a member stands there twice")
    return members
