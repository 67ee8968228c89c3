"""Chat chunks as the events of Anthropic's stream.

Anthropic's blocks stand in order and only one is open. OpenAI's deltas say what they belong to, and
calls may come interleaved. So the block that is open goes out as it comes; a delta of another kind
closes it; and what begins before the call before it is whole waits for that call. A call is whole
when its arguments are a JSON object.

Usage stands in the last chunk; `message_start` has zeros and `message_delta` the true figures.

Source:
    https://platform.claude.com/docs/en/build-with-claude/streaming (checked 2026-11-20)
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from llm_core.apis.messages.answer import SIGNED, opening, stop, stop_reason, tool_use, usage_of
from llm_core.apis.messages.failures import error_event
from llm_core.apis.messages.thoughts import block_of_thought
from llm_core.chat.encoding import decode_object
from llm_core.errors import GatewayError
from llm_core.sse import encode_event

_Object = dict[str, Any]

# An escaped character, what opens or closes, and a backslash that ends the piece.
_TELLING = re.compile(r'\\.|["{}\[\]\\]', re.DOTALL)
_DEEPER = {"{": 1, "[": 1, "}": -1, "]": -1}
_SPOKEN = ("content", "refusal", "reasoning_content", "reasoning", "thinking_blocks")


class MessageEvents:
    """Implements `EventWriter`."""

    def __init__(self) -> None:
        """Start with nothing written."""
        self._blocks = _Blocks()
        self._calls: dict[int, _Call] = {}
        # What was said in the middle of a call.
        self._held: list[Mapping[str, Any]] = []
        self._id = ""
        self._finish_reason: str | None = None
        self._refusal: str | None = None
        self._usage: object = None

    def write(self, chunk: Mapping[str, Any]) -> Sequence[bytes]:
        """Give the events that a chunk makes; of several answers only the first is told."""
        self._usage = chunk.get("usage") or self._usage
        choices = [one for one in chunk.get("choices") or () if not one.get("index")]
        if choices and not self._id:
            self._start(chunk)
        for choice in choices:
            self._say(choice.get("delta") or {})
            self._finish_reason = choice.get("finish_reason") or self._finish_reason
        return self._blocks.taken()

    def end(self) -> Sequence[bytes]:
        """Give the last events."""
        if not self._id:
            self._start({})
        for call in self._waiting():
            self._begin(call)
        self._speak_held()
        self._blocks.close()
        reason = stop_reason(
            self._finish_reason,
            has_calls=bool(self._calls),
            is_refused=self._refusal is not None,
        )
        ending = {"delta": stop(reason, self._refusal), "usage": usage_of(self._usage)}
        self._blocks.put("message_delta", ending)
        self._blocks.put("message_stop", {})
        return self._blocks.taken()

    def failed(self, error: GatewayError) -> bytes:
        """Tell an error in the middle of the stream."""
        return error_event(error)

    def _start(self, chunk: Mapping[str, Any]) -> None:
        envelope = opening(chunk)
        self._id = envelope["id"]
        begun = {"content": [], **stop(None, None), "usage": usage_of(None)}
        self._blocks.put("message_start", {"message": {**envelope, **begun}})

    def _say(self, delta: Mapping[str, Any]) -> None:
        if self._open_call() is None:
            self._speak(delta)
        elif any(delta.get(name) for name in _SPOKEN):
            self._held.append(delta)
        for call in delta.get("tool_calls") or ():
            self._call(call)
        if self._held and self._open_call() is None:
            self._speak_held()

    def _speak(self, delta: Mapping[str, Any]) -> None:
        blocks = [
            block
            for thought in delta.get("thinking_blocks") or ()
            if (block := block_of_thought(thought)) is not None
        ]
        # The blocks say it again, signed.
        if not any(block.get("thinking") for block in blocks):
            self._blocks.think(delta.get("reasoning_content") or delta.get("reasoning") or "")
        for block in blocks:
            self._blocks.think_whole(block)
        self._blocks.speak(delta.get("content") or "")
        refusal = delta.get("refusal")
        if refusal:
            self._refusal = (self._refusal or "") + refusal
            self._blocks.speak(refusal)

    def _speak_held(self) -> None:
        held, self._held = self._held, []
        for delta in held:
            self._speak(delta)

    def _call(self, delta: Mapping[str, Any]) -> None:
        index = delta.get("index", len(self._calls))
        call = self._calls.setdefault(index, _Call(len(self._calls)))
        more = call.add(delta)
        if call.is_begun:
            self._blocks.argue(call.number, more)
        for waiting in self._waiting():
            if self._open_call() is not None or not waiting.name:
                break
            self._begin(waiting)

    def _waiting(self) -> list["_Call"]:
        return [call for call in self._calls.values() if not call.is_begun]

    def _open_call(self) -> "_Call | None":
        """The call that is being told and not whole yet."""
        for call in self._calls.values():
            if self._blocks.is_telling(call.number) and not call.is_whole:
                return call
        return None

    def _begin(self, call: "_Call") -> None:
        call.is_begun = True
        block = tool_use(call.as_told(), call.number, self._id)
        self._blocks.call(call.number, {**block, "input": {}}, call.arguments)


class _Call:
    """One call, added up from its deltas."""

    __slots__ = ("_arguments", "_id", "_nesting", "_signed", "is_begun", "name", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = ""
        self.is_begun = False
        self._id = ""
        self._signed: object = None
        self._arguments: list[str] = []
        self._nesting = _Nesting()

    def add(self, delta: Mapping[str, Any]) -> str:
        """Take a delta; give its piece of the arguments."""
        function = delta.get("function") or {}
        self._id = delta.get("id") or self._id
        self._signed = delta.get(SIGNED) or self._signed
        self.name = function.get("name") or self.name
        more: str = function.get("arguments") or ""
        if more:
            self._arguments.append(more)
            self._nesting.read(more)
        return more

    @property
    def arguments(self) -> str:
        return "".join(self._arguments)

    @property
    def is_whole(self) -> bool:
        """Nothing can come after a whole JSON object."""
        return self._nesting.is_closed and decode_object(self.arguments.encode()) is not None

    def as_told(self) -> _Object:
        return {"id": self._id, "function": {"name": self.name}, SIGNED: self._signed}


class _Nesting:
    """How deep in JSON a text has come so far; each piece is looked at once."""

    __slots__ = ("_depth", "_has_begun", "_is_escaped", "_is_in_text")

    def __init__(self) -> None:
        self._depth = 0
        self._has_begun = False
        self._is_in_text = False
        self._is_escaped = False

    @property
    def is_closed(self) -> bool:
        """Whether all that was opened is closed, which is where a JSON object ends."""
        return self._has_begun and self._depth == 0

    def read(self, piece: str) -> None:
        if not piece:
            return
        unread = piece[1:] if self._is_escaped else piece
        self._is_escaped = False
        for mark in _TELLING.findall(unread):
            if mark == "\\":
                self._is_escaped = True
            elif mark == '"':
                self._is_in_text = not self._is_in_text
            elif not self._is_in_text and mark in _DEEPER:
                self._has_begun = True
                self._depth += _DEEPER[mark]


class _Blocks:
    """Writes blocks one after the other."""

    def __init__(self) -> None:
        self._events: list[bytes] = []
        self._index = -1
        # `thinking`, `text`, or a call's number; `None` when no block is open.
        self._open: str | int | None = None
        # Of the open block.
        self._thoughts: list[str] = []

    def taken(self) -> list[bytes]:
        """What was written since it was last asked."""
        events, self._events = self._events, []
        return events

    def put(self, kind: str, members: Mapping[str, Any]) -> None:
        data = msgspec.json.encode({"type": kind, **members})
        self._events.append(encode_event(data, kind))

    def close(self) -> None:
        if self._open is not None:
            self.put("content_block_stop", {"index": self._index})
            self._open = None

    def speak(self, text: str) -> None:
        if text:
            self._open_as("text", {"type": "text", "text": ""})
            self._add({"type": "text_delta", "text": text})

    def think(self, text: str) -> None:
        if text:
            self._open_as("thinking", {"type": "thinking", "thinking": "", "signature": ""})
            self._add({"type": "thinking_delta", "thinking": text})
            self._thoughts.append(text)

    def think_whole(self, block: Mapping[str, Any]) -> None:
        """Write a signed block, or what of it was not written yet."""
        if block["type"] == "redacted_thinking":
            self._open_as("redacted", block)
            self.close()
            return
        text: str = block["thinking"]
        rest = text
        if self._open == "thinking":
            thought = "".join(self._thoughts)
            rest = text[len(thought) :] if text.startswith(thought) else ""
        self.think(rest)
        self._open_as("thinking", {"type": "thinking", "thinking": "", "signature": ""})
        self._add({"type": "signature_delta", "signature": block["signature"]})
        self.close()

    def call(self, number: int, block: Mapping[str, Any], arguments: str) -> None:
        self._open_as(number, block)
        self.argue(number, arguments)

    def argue(self, number: int, text: str) -> None:
        if text and self._open == number:
            self._add({"type": "input_json_delta", "partial_json": text})

    def is_telling(self, number: int) -> bool:
        return self._open == number

    def _open_as(self, what: str | int, block: Mapping[str, Any]) -> None:
        if self._open == what:
            return
        self.close()
        self._open = what
        self._index += 1
        self._thoughts = []
        self.put("content_block_start", {"index": self._index, "content_block": block})

    def _add(self, delta: Mapping[str, Any]) -> None:
        self.put("content_block_delta", {"index": self._index, "delta": delta})
