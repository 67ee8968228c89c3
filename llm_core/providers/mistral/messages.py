"""OpenAI's list of messages as Mistral's.

| OpenAI | Mistral |
|---|---|
| `system`, `developer`, wherever they stand | `system`, first, in their order |
| `user`: text and `image_url` parts | the same |
| `assistant` with text, `refusal`, `tool_calls` | the same, a refusal as text |
| the assistant's `thinking_blocks` | `thinking` chunks before the text |
| an assistant's text that ends the conversation | the same with `prefix`, to be continued |
| `tool` | the same; `user` right after it is a 400, so the assistant says "OK." between them |
| ids of calls | nine letters and digits; others are hashed into such |

Mistral wants a model's reasoning back when the conversation goes on. OpenAI's format has no place
for it, so answers carry it as `thinking_blocks`, and a client that appends the answer's message to
its history sends it back. A block of another model is left out: not every model takes it.

Source:
    https://docs.mistral.ai/api/endpoint/chat
    https://docs.mistral.ai/inference/conversations/reasoning
    https://github.com/mistralai/mistral-common, `protocol/instruct/validator.py`, and issue 169
    there: the order of roles, and the ids of calls
    Shape from the SDK's types (mistralai 3.7.0); the pages were seen in excerpts, 2026-11-20.
"""

import hashlib
import re
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_core.providers.mistral.refusals import unsupported

_Object = dict[str, Any]

_ID_CHARACTERS = string.digits + string.ascii_letters
_ID_LENGTH = 9
_ID = re.compile(rf"[a-zA-Z0-9]{{{_ID_LENGTH}}}")
_BRIDGE = "OK."
_DATA_URI = re.compile(r"data:image/[\w.+-]+;base64,", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation as Mistral takes it.

    Args:
        messages: Never empty of other than instructions.
        has_names: Whether a message bears a `name`, which Mistral does not know.
    """

    messages: Sequence[_Object]
    has_names: bool


def conversation(messages: Sequence[Mapping[str, Any]], model: str) -> Conversation:
    """Translate the conversation.

    Args:
        messages: Checked, as in a `ChatRequest`.
        model: The routed model; only its own reasoning is sent back.

    Raises:
        UnsupportedParameter: A role or content part that Mistral cannot read.
    """
    system: list[_Object] = []
    turns: list[_Object] = []
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        match message["role"]:
            case "system" | "developer":
                system.append({"role": "system", "content": _instructions(message, where)})
            case "user":
                turns.append({"role": "user", "content": _content(message["content"], where)})
            case "tool":
                turns.append(_tool_result(message, where))
            case "assistant":
                turns += _assistant(message, where, model)
            case role:
                raise unsupported(f"{where}.role", f"there is no role '{role}'; use 'tool'.")
    if not turns:
        raise unsupported("messages", "at least one message must come from the user.")
    if turns[-1]["role"] == "assistant" and "tool_calls" not in turns[-1]:
        turns[-1]["prefix"] = True
    return Conversation(
        messages=[*system, *_bridged(turns)],
        has_names=any(message.get("name") for message in messages),
    )


def call_id_for_mistral(call_id: str) -> str:
    """Give the id itself when it is one of Mistral's, else nine letters and digits made from it.

    The same id always gives the same nine, so that a call and its result stay together.
    """
    if _ID.fullmatch(call_id):
        return call_id
    number = int.from_bytes(hashlib.sha256(call_id.encode()).digest())
    made = []
    for _ in range(_ID_LENGTH):
        number, place = divmod(number, len(_ID_CHARACTERS))
        made.append(_ID_CHARACTERS[place])
    return "".join(made)


def _bridged(turns: Sequence[_Object]) -> Iterator[_Object]:
    """Put a turn of the assistant between a result and a user's turn.

    OpenAI takes the two in a row, and agents send them so when they remind a model of something or
    the user breaks in.
    """
    last = None
    for turn in turns:
        if last == "tool" and turn["role"] == "user":
            yield {"role": "assistant", "content": _BRIDGE}
        last = turn["role"]
        yield turn


def _instructions(message: Mapping[str, Any], where: str) -> str | list[_Object]:
    content = _content(message["content"], where)
    if not isinstance(content, str) and any(part["type"] != "text" for part in content):
        raise unsupported(f"{where}.content", "instructions can only be text.")
    return content


def _content(content: str | Sequence[Mapping[str, Any]], where: str) -> str | list[_Object]:
    if isinstance(content, str):
        return content
    return [_part(part, f"{where}.content[{index}]") for index, part in enumerate(content)]


def _part(part: Mapping[str, Any], where: str) -> _Object:
    match part["type"]:
        case "text" | "refusal" as kind:
            return {"type": "text", "text": str(part.get(kind) or "")}
        case "image_url":
            return {"type": "image_url", "image_url": _image(part["image_url"], where)}
        case "file":
            raise unsupported(f"{where}.type", "reading documents costs a fee by the page.")
        case "input_audio":
            raise unsupported(f"{where}.type", "sound is charged by the second.")
        case kind:
            raise unsupported(f"{where}.type", f"it cannot read '{kind}' parts.")


def _image(image: Mapping[str, Any], where: str) -> _Object:
    url = image["url"]
    if not (_DATA_URI.match(url) or url.lower().startswith(("https://", "http://"))):
        raise unsupported(
            f"{where}.image_url.url", "an image must be a web address or a base64 data URI."
        )
    detail = image.get("detail")
    return {"url": url, "detail": detail} if isinstance(detail, str) else {"url": url}


def _assistant(message: Mapping[str, Any], where: str, model: str) -> Iterator[_Object]:
    if message.get("audio") is not None:
        raise unsupported(f"{where}.audio", "it has no audio.")
    content = _content(message.get("content") or "", where)
    refusal = message.get("refusal")
    if refusal:
        content = [*_as_chunks(content), {"type": "text", "text": refusal}]
    thoughts = _own_thoughts(message.get("thinking_blocks") or (), model)
    if thoughts:
        content = [*thoughts, *_as_chunks(content)]
    calls = [
        _call(call, f"{where}.tool_calls[{index}]")
        for index, call in enumerate(message.get("tool_calls") or ())
    ]
    # A turn with neither is refused, and says nothing.
    if not content and not calls:
        return
    yield {
        "role": "assistant",
        "content": content,
        **({"tool_calls": calls} if calls else {}),
    }


def _as_chunks(content: str | list[_Object]) -> list[_Object]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content


def _own_thoughts(blocks: Sequence[Mapping[str, Any]], model: str) -> list[_Object]:
    return [
        {name: block[name] for name in ("type", "thinking", "signature") if name in block}
        for block in blocks
        if block.get("type") == "thinking"
        and isinstance(block.get("thinking"), list)
        and _is_own(block.get("model"), model)
    ]


def _is_own(thought_by: object, model: str) -> bool:
    """Whether the routed model thought it: `magistral-x` may serve as `magistral-x-2509`."""
    return (
        isinstance(thought_by, str)
        and bool(thought_by)
        and (thought_by.startswith(model) or model.startswith(thought_by))
    )


def _call(call: Mapping[str, Any], where: str) -> _Object:
    if call.get("type", "function") != "function":
        raise unsupported(f"{where}.type", "only functions can be called.")
    function = call["function"]
    return {
        "id": call_id_for_mistral(call["id"]),
        "type": "function",
        "function": {"name": function["name"], "arguments": function["arguments"] or "{}"},
    }


def _tool_result(message: Mapping[str, Any], where: str) -> _Object:
    return {
        "role": "tool",
        "tool_call_id": call_id_for_mistral(message["tool_call_id"]),
        "content": _content(message["content"], where),
    }
