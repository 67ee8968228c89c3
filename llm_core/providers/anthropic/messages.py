"""OpenAI's list of messages as Anthropic's system prompt and turns.

| OpenAI | Anthropic |
|---|---|
| `system`, `developer`, wherever they stand | `system`, in their order |
| `user` | user turn |
| `assistant` with text, `refusal`, `tool_calls` | assistant turn with text and `tool_use` blocks |
| `tool` | `tool_result` block, first in the user turn |
| several of one side in a row | one turn |
| `image_url`: URL or data URI | `image` block |
| `file`: a PDF as data URI | `document` block |

Anthropic signs its thinking and, with tools, wants it back unchanged. OpenAI's format has no place
for that, so answers carry it as `thinking_blocks`, and a client that appends the answer's message
to its history sends it back. A block that another model signed is left out: it would be refused.

Source:
    https://platform.claude.com/docs/en/api/messages (checked 2026-11-20)
    https://platform.claude.com/docs/en/agents-and-tools/tool-use/handle-tool-calls
    (checked 2026-11-20)
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_core.chat.encoding import decode_value
from llm_core.errors import MalformedRequest
from llm_core.providers.anthropic.refusals import unsupported

_Object = dict[str, Any]

_DATA_URI = re.compile(r"data:(?P<media_type>[\w.+/-]+)(?:;[\w.+=-]+)*;base64,", re.IGNORECASE)
_IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
# What Anthropic takes as the id of a call; some servers put dots and colons into theirs.
_NOT_IN_ID = re.compile(r"[^a-zA-Z0-9_-]")
_THINKING = ("thinking", "redacted_thinking")
_THINKING_FIELDS = ("type", "thinking", "signature", "data")


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation as Anthropic takes it.

    Args:
        system: Empty when there are no instructions.
        turns: User and assistant in alternation.
        called_tools: Names of all tools that were called so far, each once, in order.
        has_unsigned_call: Whether the latest calls came back without the thinking before them.
        has_names: Whether a message bears a `name`, which Anthropic does not know.
    """

    system: Sequence[_Object]
    turns: Sequence[_Object]
    called_tools: Sequence[str]
    has_unsigned_call: bool
    has_names: bool


def conversation(messages: Sequence[Mapping[str, Any]], model: str) -> Conversation:
    """Sort messages into instructions and turns.

    Args:
        messages: Checked, as in a `ChatRequest`.
        model: The routed model; only its own thinking is sent back.

    Raises:
        UnsupportedParameter: A content part that Anthropic cannot read.
        MalformedRequest: The arguments of a call are no JSON object.
    """
    system: list[_Object] = []
    turns: list[_Object] = []
    called: dict[str, None] = {}
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        match message["role"]:
            case "system" | "developer":
                system += _text_blocks(message, where)
            case "user":
                _add_turn(turns, "user", list(_blocks(message["content"], f"{where}.content")))
            case "tool":
                _add_turn(turns, "user", [_tool_result(message, where)])
            case "assistant":
                _add_turn(turns, "assistant", list(_assistant_blocks(message, where, model)))
                called |= {
                    call["function"]["name"]: None for call in message.get("tool_calls") or ()
                }
            case role:
                raise unsupported(f"{where}.role", f"there is no role '{role}'; use 'tool'.")
    if not turns:
        raise unsupported("messages", "at least one message must come from the user.")
    _trim_end(turns[-1])
    return Conversation(
        system=system,
        turns=[_ordered(turn) for turn in turns],
        called_tools=list(called),
        has_unsigned_call=_has_unsigned_call(turns),
        has_names=any(message.get("name") for message in messages),
    )


def cache_control_from(part: Mapping[str, Any], where: str) -> _Object:
    """Anthropic's own cache mark, which its users put on parts and tools; empty without one.

    The mark for one hour is refused: writing costs twice the input's price then, the price list
    knows one price for writing, and a call that costs more than it was reserved at is an overspend.
    """
    mark = part.get("cache_control")
    if mark is None:
        return {}
    if not isinstance(mark, dict) or mark.get("ttl", "5m") != "5m":
        param = f"{where}.cache_control" if where else "cache_control"
        raise unsupported(param, "only a cache of 5 minutes can be priced.")
    return {"cache_control": mark}


def _add_turn(turns: list[_Object], role: str, blocks: list[_Object]) -> None:
    # A turn without blocks is refused, and says nothing.
    if not blocks:
        return
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"] += blocks
    else:
        turns.append({"role": role, "content": blocks})


def _ordered(turn: _Object) -> _Object:
    """Results must stand before all else in their turn; thinking before all else in its own."""
    first = ("tool_result",) if turn["role"] == "user" else _THINKING
    blocks = sorted(turn["content"], key=lambda block: block["type"] not in first)
    return {"role": turn["role"], "content": blocks}


def _trim_end(turn: _Object) -> None:
    """A last turn of the assistant is continued from, and must not end in white space."""
    last = turn["content"][-1]
    if turn["role"] == "assistant" and last["type"] == "text":
        last["text"] = last["text"].rstrip()


def _text_blocks(message: Mapping[str, Any], where: str) -> list[_Object]:
    blocks = list(_blocks(message["content"], f"{where}.content"))
    for block in blocks:
        if block["type"] != "text":
            raise unsupported(f"{where}.content", "instructions can only be text.")
    return blocks


def _assistant_blocks(message: Mapping[str, Any], where: str, model: str) -> Iterator[_Object]:
    for thought in message.get("thinking_blocks") or ():
        if (
            isinstance(thought, dict)
            and thought.get("type") in _THINKING
            and _is_own(thought.get("model"), model)
        ):
            yield {name: thought[name] for name in _THINKING_FIELDS if name in thought}
    if message.get("audio") is not None:
        raise unsupported(f"{where}.audio", "it has no audio.")
    yield from _blocks(message.get("content") or "", f"{where}.content")
    yield from _blocks(message.get("refusal") or "", f"{where}.refusal")
    for index, call in enumerate(message.get("tool_calls") or ()):
        yield _tool_use(call, f"{where}.tool_calls[{index}]")


def _is_own(signed_by: object, model: str) -> bool:
    """Whether the routed model signed a block: `claude-x` serves as `claude-x-20250929`."""
    if not isinstance(signed_by, str):
        return True
    return signed_by.startswith(model) or model.startswith(signed_by)


def _tool_use(call: Mapping[str, Any], where: str) -> _Object:
    if call.get("type", "function") != "function":
        raise unsupported(f"{where}.type", "only functions can be called.")
    function = call["function"]
    return {
        "type": "tool_use",
        "id": _id(call["id"]),
        "name": function["name"],
        "input": _arguments(function["arguments"], f"{where}.function.arguments"),
    }


def _arguments(text: str, where: str) -> _Object:
    if not text.strip():
        return {}
    arguments = decode_value(text)
    if not isinstance(arguments, dict):
        raise MalformedRequest(f"'{where}' must be a JSON object as text.", param=where)
    return arguments


def _tool_result(message: Mapping[str, Any], where: str) -> _Object:
    result: _Object = {"type": "tool_result", "tool_use_id": _id(message["tool_call_id"])}
    blocks = list(_blocks(message["content"], f"{where}.content"))
    if blocks:
        result["content"] = blocks
    # Anthropic's own word for a result that is a failure; it comes by way of `/v1/messages`.
    if message.get("is_error") is True:
        result["is_error"] = True
    return result


def _id(call_id: str) -> str:
    return _NOT_IN_ID.sub("_", call_id) or "_"


def _blocks(content: str | Sequence[Mapping[str, Any]], where: str) -> Iterator[_Object]:
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    for index, part in enumerate(parts):
        block = _block(part, f"{where}[{index}]")
        if block is not None:
            yield {**block, **cache_control_from(part, f"{where}[{index}]")}


def _block(part: Mapping[str, Any], where: str) -> _Object | None:
    match part["type"]:
        case "text" | "refusal" as kind:
            text = part.get(kind)
            # Empty text is refused, and says nothing.
            return (
                {"type": "text", "text": text} if isinstance(text, str) and text.strip() else None
            )
        case "image_url":
            return _image(part["image_url"]["url"], f"{where}.image_url.url")
        case "file":
            return _document(part["file"], f"{where}.file")
        case kind:
            raise unsupported(f"{where}.type", f"it cannot read '{kind}' parts.")


def _image(url: str, where: str) -> _Object:
    data_uri = _DATA_URI.match(url)
    if data_uri is None:
        if not url.lower().startswith(("https://", "http://")):
            raise unsupported(where, "an image must be a web address or a base64 data URI.")
        return {"type": "image", "source": {"type": "url", "url": url}}
    media_type = data_uri["media_type"].lower().replace("image/jpg", "image/jpeg")
    if media_type not in _IMAGE_TYPES:
        raise unsupported(where, f"images must be one of {', '.join(_IMAGE_TYPES)}.")
    source = {"type": "base64", "media_type": media_type, "data": url[data_uri.end() :]}
    return {"type": "image", "source": source}


def _document(file: Mapping[str, Any], where: str) -> _Object:
    data = file.get("file_data")
    data_uri = _DATA_URI.match(data) if isinstance(data, str) else None
    if data_uri is None or data_uri["media_type"].lower() != "application/pdf":
        raise unsupported(where, "a file must be a PDF in 'file_data', as a base64 data URI.")
    source = {
        "type": "base64",
        "media_type": "application/pdf",
        "data": data[data_uri.end() :] if isinstance(data, str) else "",
    }
    named = file.get("filename")
    title = {"title": named} if isinstance(named, str) and named else {}
    return {"type": "document", "source": source, **title}


def _has_unsigned_call(turns: Sequence[_Object]) -> bool:
    for turn in reversed(turns):
        if turn["role"] == "assistant":
            kinds = {block["type"] for block in turn["content"]}
            return "tool_use" in kinds and kinds.isdisjoint(_THINKING)
    return False
