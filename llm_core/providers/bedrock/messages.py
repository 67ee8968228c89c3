"""OpenAI's list of messages as Converse's system prompt and turns.

| OpenAI | Converse |
|---|---|
| `system`, `developer`, wherever they stand | `system`, in their order |
| `user` | user turn |
| `assistant` with text, `refusal`, `tool_calls` | assistant turn with `text` and `toolUse` blocks |
| `tool` | `toolResult` block, first in the user turn |
| several of one side in a row | one turn |
| `image_url`: data URI | `image` block |
| `file`: data URI | `document` block |
| `cache_control` on a part | `cachePoint` block behind it |

Claude signs its reasoning and, with tools, wants it back unchanged. As with Anthropic itself,
answers carry it as `thinking_blocks`, and a client that appends the answer's message to its history
sends it back. Converse does not say which model answered, so such a block names Bedrock instead.

Source:
    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html
    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html
    https://docs.aws.amazon.com/bedrock/latest/userguide/tool-use-inference-call.html
    Shape from the SDK's types (botocore 1.44.5); the pages were seen in excerpts, 2026-11-20.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_core.chat.encoding import decode_value
from llm_core.chat.request import ChatRequest
from llm_core.errors import MalformedRequest
from llm_core.providers.bedrock.media import document_block, image_block
from llm_core.providers.bedrock.models import Family, Traits
from llm_core.providers.bedrock.refusals import unsupported

_Object = dict[str, Any]

SIGNED_BY = "bedrock"
"""What a thinking block of ours says in place of the model that signed it."""

_NOT_IN_ID = re.compile(r"[^a-zA-Z0-9_.:-]")
_MAX_ID_CHARACTERS = 64
_DIGEST_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation as Converse takes it.

    Args:
        system: Empty when there are no instructions.
        turns: User and assistant in alternation.
        has_tool_blocks: Whether a tool was called or answered so far.
        has_unsigned_call: Whether the latest calls came back without the reasoning before them.
        dropped: Names of what was left out.
    """

    system: Sequence[_Object]
    turns: Sequence[_Object]
    has_tool_blocks: bool
    has_unsigned_call: bool
    dropped: Sequence[str]


def conversation(request: ChatRequest, model: str, traits: Traits) -> Conversation:
    """Sort messages into instructions and turns.

    Args:
        request: Checked.
        model: The routed model; only its own reasoning is sent back.
        traits: Of that model.

    Raises:
        UnsupportedParameter: A content part that Bedrock cannot read.
        MalformedRequest: The arguments of a call are no JSON object.
    """
    reader = _Reader(model, traits)
    for index, message in enumerate(request.messages):
        reader.read(message, f"messages[{index}]")
    if not reader.turns:
        raise unsupported("messages", "at least one message must come from the user.")
    if request.fields.get("cache_control") is not None:
        reader.turns[-1]["content"] += reader.cache_point(request.fields, "")
    _trim_end(reader.turns[-1])
    if any(message.get("name") for message in request.messages):
        reader.dropped["messages.name"] = None
    turns = [_ordered(turn) for turn in reader.turns]
    return Conversation(
        system=reader.system,
        turns=turns,
        has_tool_blocks=any(
            "toolUse" in block or "toolResult" in block
            for turn in turns
            for block in turn["content"]
        ),
        has_unsigned_call=_has_unsigned_call(turns),
        dropped=list(reader.dropped),
    )


def cache_point_from(marked: Mapping[str, Any], where: str) -> list[_Object]:
    """A cache point for Anthropic's cache mark, as its users write it; none without one.

    The mark for one hour is refused: it is priced otherwise, and the price list knows one price.
    """
    mark = marked.get("cache_control")
    if mark is None:
        return []
    if not isinstance(mark, dict) or mark.get("ttl", "5m") != "5m":
        param = f"{where}.cache_control" if where else "cache_control"
        raise unsupported(param, "only a cache of 5 minutes can be priced.")
    return [{"cachePoint": {"type": "default"}}]


class _Reader:
    """Takes one message after the other."""

    def __init__(self, model: str, traits: Traits) -> None:
        self.system: list[_Object] = []
        self.turns: list[_Object] = []
        self.dropped: dict[str, None] = {}
        self._model = model
        self._traits = traits
        self._document_names: dict[str, int] = {}

    def read(self, message: Mapping[str, Any], where: str) -> None:
        match message["role"]:
            case "system" | "developer":
                self.system += self._instructions(message, where)
            case "user":
                self._add("user", list(self._blocks(message["content"], f"{where}.content")))
            case "tool":
                self._add("user", self._tool_result(message, where))
            case "assistant":
                self._add("assistant", list(self._assistant_blocks(message, where)))
            case role:
                raise unsupported(f"{where}.role", f"there is no role '{role}'; use 'tool'.")

    def cache_point(self, marked: Mapping[str, Any], where: str) -> list[_Object]:
        points = cache_point_from(marked, where)
        if points and not self._traits.takes_cache_points:
            self.dropped["cache_control"] = None
            return []
        return points

    def _add(self, role: str, blocks: list[_Object]) -> None:
        # A turn without blocks is refused, and says nothing.
        if not blocks:
            return
        if self.turns and self.turns[-1]["role"] == role:
            self.turns[-1]["content"] += blocks
        else:
            self.turns.append({"role": role, "content": blocks})

    def _instructions(self, message: Mapping[str, Any], where: str) -> list[_Object]:
        blocks = list(self._blocks(message["content"], f"{where}.content"))
        if any("text" not in block and "cachePoint" not in block for block in blocks):
            raise unsupported(f"{where}.content", "instructions can only be text.")
        return blocks

    def _assistant_blocks(self, message: Mapping[str, Any], where: str) -> Iterator[_Object]:
        if self._traits.family is Family.CLAUDE:
            yield from _reasoning_blocks(message.get("thinking_blocks") or (), self._model)
        if message.get("audio") is not None:
            raise unsupported(f"{where}.audio", "it has no audio.")
        yield from self._blocks(message.get("content") or "", f"{where}.content")
        yield from self._blocks(message.get("refusal") or "", f"{where}.refusal")
        for index, call in enumerate(message.get("tool_calls") or ()):
            yield _tool_use(call, f"{where}.tool_calls[{index}]")

    def _tool_result(self, message: Mapping[str, Any], where: str) -> list[_Object]:
        blocks = list(self._blocks(message["content"], f"{where}.content"))
        result = {
            "toolUseId": _id(message["tool_call_id"]),
            "content": [block for block in blocks if "cachePoint" not in block],
        }
        # A cache point cannot stand inside a result.
        return [{"toolResult": result}, *[block for block in blocks if "cachePoint" in block][-1:]]

    def _blocks(self, content: str | Sequence[Mapping[str, Any]], where: str) -> Iterator[_Object]:
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for index, part in enumerate(parts):
            block = self._block(part, f"{where}[{index}]")
            if block is not None:
                yield block
                yield from self.cache_point(part, f"{where}[{index}]")

    def _block(self, part: Mapping[str, Any], where: str) -> _Object | None:
        match part["type"]:
            case "text" | "refusal" as kind:
                text = part.get(kind)
                # Blank text is refused, and says nothing.
                return {"text": text} if isinstance(text, str) and text.strip() else None
            case "image_url":
                return image_block(part["image_url"]["url"], f"{where}.image_url.url")
            case "file":
                return document_block(part["file"], f"{where}.file", self._document_names)
            case kind:
                raise unsupported(f"{where}.type", f"it cannot read '{kind}' parts.")


def _reasoning_blocks(kept: Sequence[Mapping[str, Any]], model: str) -> Iterator[_Object]:
    for thought in kept:
        if not _is_own(thought.get("model"), model):
            continue
        match thought:
            case {"type": "thinking", "thinking": str(text), "signature": str(signature)}:
                signed = {"text": text, "signature": signature}
                yield {"reasoningContent": {"reasoningText": signed}}
            case {"type": "redacted_thinking", "data": str(data), "model": by} if by == SIGNED_BY:
                # Anthropic's own form of these bytes is another.
                yield {"reasoningContent": {"redactedContent": data}}
            case _:
                pass


def _is_own(signed_by: object, model: str) -> bool:
    """Whether Bedrock or the same model elsewhere signed a block.

    `claude-sonnet-4-5-20250929` serves here as `eu.anthropic.claude-sonnet-4-5-20250929-v1:0`.
    """
    return not isinstance(signed_by, str) or signed_by == SIGNED_BY or signed_by in model


def _tool_use(call: Mapping[str, Any], where: str) -> _Object:
    if call.get("type", "function") != "function":
        raise unsupported(f"{where}.type", "only functions can be called.")
    function = call["function"]
    return {
        "toolUse": {
            "toolUseId": _id(call["id"]),
            "name": function["name"],
            "input": _arguments(function["arguments"], f"{where}.function.arguments"),
        }
    }


def _arguments(text: str, where: str) -> _Object:
    if not text.strip():
        return {}
    arguments = decode_value(text)
    if not isinstance(arguments, dict):
        raise MalformedRequest(f"'{where}' must be a JSON object as text.", param=where)
    return arguments


def _id(call_id: str) -> str:
    """The id as Bedrock takes it; one that is too long stays the same for the same call."""
    taken = _NOT_IN_ID.sub("_", call_id) or "_"
    if len(taken) <= _MAX_ID_CHARACTERS:
        return taken
    digest = hashlib.sha256(call_id.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{taken[: _MAX_ID_CHARACTERS - _DIGEST_CHARACTERS - 1]}-{digest}"


def _ordered(turn: _Object) -> _Object:
    """Results must stand before all else in their turn; reasoning before all else in its own.

    A cache point stays behind the block it stood behind.
    """
    first = "toolResult" if turn["role"] == "user" else "reasoningContent"
    groups: list[list[_Object]] = []
    for block in turn["content"]:
        if "cachePoint" in block and groups:
            groups[-1].append(block)
        else:
            groups.append([block])
    groups.sort(key=lambda group: first not in group[0])
    return {"role": turn["role"], "content": [block for group in groups for block in group]}


def _trim_end(turn: _Object) -> None:
    """A last turn of the assistant is continued from, and must not end in white space."""
    last = turn["content"][-1]
    if turn["role"] == "assistant" and "text" in last:
        last["text"] = last["text"].rstrip()


def _has_unsigned_call(turns: Sequence[_Object]) -> bool:
    for turn in reversed(turns):
        if turn["role"] == "assistant":
            kinds = {kind for block in turn["content"] for kind in block}
            return "toolUse" in kinds and "reasoningContent" not in kinds
    return False
