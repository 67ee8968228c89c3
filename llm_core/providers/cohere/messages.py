"""OpenAI's list of messages as Cohere's.

| OpenAI | Cohere |
|---|---|
| `system`, `developer`, wherever they stand | one `system` message, first |
| `user`: text and `image_url` parts | the same |
| `assistant` with text, `refusal`, `tool_calls` | the same, a refusal as text |
| `reasoning_content` beside `tool_calls` | `tool_plan`: what made the model call |
| `reasoning_content` beside text | nothing: it is not wanted back |
| `citations` of an answer sent back | `citations` |
| `tool` whose text is a JSON object, or a list of such | `tool` with a `document` for each |
| `tool` with any other text | `tool` with a `text` |

A tool's result goes as documents where it can, because Cohere's models cite documents by id.

Source:
    https://docs.cohere.com/reference/chat
    https://docs.cohere.com/docs/tool-use-overview
    Shape from the SDK's types (cohere 7.3.1); the pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_core.chat.encoding import decode_value
from llm_core.providers.cohere.refusals import unsupported

_Object = dict[str, Any]

_IMAGE_ADDRESSES = ("https://", "http://", "data:image/")
_DETAILS = ("auto", "low", "high")


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation as Cohere takes it.

    Args:
        messages: Never empty of other than instructions.
        has_names: Whether a message bears a `name`, which Cohere does not know.
    """

    messages: Sequence[_Object]
    has_names: bool


def conversation(messages: Sequence[Mapping[str, Any]]) -> Conversation:
    """Translate the conversation.

    Args:
        messages: Checked, as in a `ChatRequest`.

    Raises:
        UnsupportedParameter: A role or content part that Cohere cannot read.
    """
    instructions: list[str] = []
    turns: list[_Object] = []
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        match message["role"]:
            case "system" | "developer":
                instructions.append(_text_only(message["content"], f"{where}.content"))
            case "user":
                content = _content(message["content"], f"{where}.content")
                turns.append({"role": "user", "content": content})
            case "tool":
                turns.append(_tool_result(message, where))
            case "assistant":
                turns += _assistant(message, where)
            case role:
                raise unsupported(f"{where}.role", f"there is no role '{role}'; use 'tool'.")
    if not turns:
        raise unsupported("messages", "at least one message must come from the user.")
    said = "\n\n".join(text for text in instructions if text)
    system = [{"role": "system", "content": said}] if said else []
    return Conversation(
        messages=[*system, *turns],
        has_names=any(message.get("name") for message in messages),
    )


def _content(content: str | Sequence[Mapping[str, Any]], where: str) -> str | list[_Object]:
    if isinstance(content, str):
        return content
    return [_part(part, f"{where}[{index}]") for index, part in enumerate(content)]


def _part(part: Mapping[str, Any], where: str) -> _Object:
    match part["type"]:
        case "text" | "refusal" as kind:
            return {"type": "text", "text": str(part.get(kind) or "")}
        case "image_url":
            return {"type": "image_url", "image_url": _image(part["image_url"], where)}
        case kind:
            raise unsupported(f"{where}.type", f"it cannot read '{kind}' parts.")


def _image(image: Mapping[str, Any], where: str) -> _Object:
    url = image["url"]
    if not url.lower().startswith(_IMAGE_ADDRESSES):
        raise unsupported(
            f"{where}.image_url.url", "an image must be a web address or a base64 data URI."
        )
    detail = image.get("detail")
    return {"url": url, "detail": detail} if detail in _DETAILS else {"url": url}


def _text_only(content: str | Sequence[Mapping[str, Any]], where: str) -> str:
    """The text of instructions, or of a tool's result."""
    parts = _content(content, where)
    if isinstance(parts, str):
        return parts
    for index, part in enumerate(parts):
        if part["type"] != "text":
            raise unsupported(f"{where}[{index}].type", "only text can stand here.")
    return "".join(part["text"] for part in parts)


def _assistant(message: Mapping[str, Any], where: str) -> Iterator[_Object]:
    if message.get("audio") is not None:
        raise unsupported(f"{where}.audio", "it has no audio.")
    text = _text_only(message.get("content") or "", f"{where}.content")
    text += message.get("refusal") or ""
    calls = [
        _call(call, f"{where}.tool_calls[{index}]")
        for index, call in enumerate(message.get("tool_calls") or ())
    ]
    # A turn with neither is refused, and says nothing.
    if not text and not calls:
        return
    turn: _Object = {"role": "assistant"}
    plan = message.get("reasoning_content")
    if calls:
        turn["tool_calls"] = calls
        if isinstance(plan, str) and plan:
            turn["tool_plan"] = plan
    if text:
        turn["content"] = text
    citations = message.get("citations")
    if isinstance(citations, list) and all(isinstance(one, dict) for one in citations):
        turn["citations"] = citations
    yield turn


def _call(call: Mapping[str, Any], where: str) -> _Object:
    if call.get("type", "function") != "function":
        raise unsupported(f"{where}.type", "only functions can be called.")
    function = call["function"]
    return {
        "id": call["id"],
        "type": "function",
        "function": {"name": function["name"], "arguments": function["arguments"] or "{}"},
    }


def _tool_result(message: Mapping[str, Any], where: str) -> _Object:
    text = _text_only(message["content"], f"{where}.content")
    return {
        "role": "tool",
        "tool_call_id": message["tool_call_id"],
        "content": _documents(text) or [{"type": "text", "text": text}],
    }


def _documents(text: str) -> list[_Object]:
    """The documents that a result is; empty when it is none."""
    result = decode_value(text)
    results = result if isinstance(result, list) else [result]
    if not all(isinstance(one, dict) and one for one in results):
        return []
    return [{"type": "document", "document": {"data": one}} for one in results]
