"""OpenAI's list of messages as Gemini's system instruction and contents.

| OpenAI | Gemini |
|---|---|
| `system`, `developer`, wherever they stand | `systemInstruction`, a part each |
| `user` | content of the role `user` |
| `assistant` with text, `refusal`, `tool_calls` | content of the role `model` |
| `tool` | `functionResponse` part; all results of a step in one `user` content |

Gemini signs its thoughts and, from version 3 on, refuses calls that come back unsigned. Answers
carry a signature where Google's own OpenAI layer does: in `extra_content.google.thought_signature`
of a tool call, or of the message when it made none. A client that appends the answer's message to
its history sends it back. Calls that another model made have none; Google names a value that says
so, which keeps a conversation going when it moves here.

Source:
    https://ai.google.dev/api/caching#Content
    https://ai.google.dev/gemini-api/docs/generate-content/thought-signatures
    https://ai.google.dev/gemini-api/docs/generate-content/function-calling
    Shape from the SDK's types (google-genai 3.4.0); the pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_core.chat.encoding import decode_value
from llm_core.errors import MalformedRequest
from llm_core.providers.gemini.media import document, image, sound
from llm_core.providers.gemini.models import Capabilities
from llm_core.providers.gemini.vendor import Vendor

_Object = dict[str, Any]

UNSIGNED = "skip_thought_signature_validator"
"""Google's own word for a call that no model of its made."""

# Gemini keeps numbers as doubles; a longer whole number would come out as another one.
_EXACT = 2**53


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation as Gemini takes it.

    Args:
        system: Parts of the instructions; empty when there are none.
        contents: Turns.
        dropped: What was left out, by name.
    """

    system: Sequence[_Object]
    contents: Sequence[_Object]
    dropped: Sequence[str]


def conversation(
    messages: Sequence[Mapping[str, Any]], capabilities: Capabilities, vendor: Vendor
) -> Conversation:
    """Sort messages into instructions and turns.

    Args:
        messages: Checked, as in a `ChatRequest`.
        capabilities: Of the routed model.
        vendor: For refusals.

    Raises:
        UnsupportedParameter: A content part that Gemini cannot read.
        MalformedRequest: The arguments of a call are no JSON object, or a result answers no call.
    """
    reader = _Reader(capabilities, vendor)
    for index, message in enumerate(messages):
        reader.read(message, f"messages[{index}]")
    if not reader.contents:
        raise vendor.unsupported("messages", "at least one message must come from the user.")
    return Conversation(
        system=reader.system,
        contents=[{"role": turn.role, "parts": turn.sorted_parts()} for turn in reader.contents],
        dropped=list(reader.dropped),
    )


class _Turn:
    """One content; `places` order the results of a step as its calls were."""

    __slots__ = ("kind", "parts", "places", "role")

    def __init__(self, kind: str, role: str) -> None:
        self.kind = kind
        self.role = role
        self.parts: list[_Object] = []
        self.places: list[int] = []

    def sorted_parts(self) -> list[_Object]:
        paired = sorted(zip(self.places, self.parts, strict=True), key=lambda pair: pair[0])
        return [part for _, part in paired]


class _Reader:
    """Reads one message after the other."""

    def __init__(self, capabilities: Capabilities, vendor: Vendor) -> None:
        self.system: list[_Object] = []
        self.contents: list[_Turn] = []
        self.dropped: dict[str, None] = {}
        self._capabilities = capabilities
        self._vendor = vendor
        # The name and place of the latest call with an id.
        self._calls: dict[str, tuple[str, int]] = {}

    def read(self, message: Mapping[str, Any], where: str) -> None:
        role = message["role"]
        if message.get("name") and role != "tool":
            self.dropped["messages.name"] = None
        match role:
            case "system" | "developer":
                self.system += self._instructions(message, where)
            case "user":
                self._add("user", "user", self._parts(message["content"], f"{where}.content"))
            case "tool":
                self._add_result(message, where)
            case "assistant":
                self._add("assistant", "model", self._answer(message, where))
            case _:
                raise self._vendor.unsupported(
                    f"{where}.role", f"there is no role '{role}'; use 'tool'."
                )

    def _add(self, kind: str, role: str, parts: Iterator[_Object], place: int = 0) -> None:
        given = list(parts)
        # A content without parts is refused, and says nothing.
        if not given:
            return
        if not self.contents or self.contents[-1].kind != kind:
            self.contents.append(_Turn(kind, role))
        self.contents[-1].parts += given
        self.contents[-1].places += [place] * len(given)

    def _instructions(self, message: Mapping[str, Any], where: str) -> list[_Object]:
        parts = list(self._parts(message["content"], f"{where}.content"))
        if any("text" not in part for part in parts):
            raise self._vendor.unsupported(f"{where}.content", "instructions can only be text.")
        return parts

    def _answer(self, message: Mapping[str, Any], where: str) -> Iterator[_Object]:
        if message.get("audio") is not None:
            raise self._vendor.unsupported(f"{where}.audio", "it takes no audio of an answer.")
        said = [
            *self._parts(message.get("content") or "", f"{where}.content"),
            *self._parts(message.get("refusal") or "", f"{where}.refusal"),
        ]
        signature = _signature(message)
        if signature:
            said = said or [{"text": ""}]
            said[-1] = {**said[-1], "thoughtSignature": signature}
        yield from said
        for index, call in enumerate(message.get("tool_calls") or ()):
            yield self._call(call, f"{where}.tool_calls[{index}]", index)

    def _call(self, call: Mapping[str, Any], where: str, index: int) -> _Object:
        if call.get("type", "function") != "function":
            raise self._vendor.unsupported(f"{where}.type", "only functions can be called.")
        function = call["function"]
        self._calls[call["id"]] = (function["name"], index)
        part: _Object = {
            "functionCall": {
                "id": call["id"],
                "name": function["name"],
                "args": _arguments(function["arguments"], f"{where}.function.arguments"),
            }
        }
        signature = _signature(call)
        if signature is None and index == 0 and self._capabilities.wants_signatures:
            signature = UNSIGNED
        return {**part, "thoughtSignature": signature} if signature else part

    def _add_result(self, message: Mapping[str, Any], where: str) -> None:
        call_id = message["tool_call_id"]
        if call_id not in self._calls:
            raise MalformedRequest(
                f"'{where}.tool_call_id' answers no call before it.", param=f"{where}.tool_call_id"
            )
        name, place = self._calls[call_id]
        parts = list(self._parts(message["content"], f"{where}.content"))
        text = "".join(part["text"] for part in parts if "text" in part)
        response: _Object = {"id": call_id, "name": name, "response": _result(text)}
        media = [part for part in parts if "text" not in part]
        if media:
            is_inline = all("inlineData" in part for part in media)
            if not self._capabilities.reads_images_of_tools or not is_inline:
                raise self._vendor.unsupported(
                    f"{where}.content", "a result can only be text here, or images in data URIs."
                )
            response["parts"] = media
        self._add("tool", "user", iter([{"functionResponse": response}]), place)

    def _parts(self, content: str | Sequence[Mapping[str, Any]], where: str) -> Iterator[_Object]:
        given = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for index, part in enumerate(given):
            read = self._part(part, f"{where}[{index}]")
            if read is not None:
                yield read

    def _part(self, part: Mapping[str, Any], where: str) -> _Object | None:
        match part["type"]:
            case "text" | "refusal" as kind:
                text = part.get(kind)
                # Empty text is refused, and says nothing.
                return {"text": text} if isinstance(text, str) and text else None
            case "image_url":
                shown = part["image_url"]
                if shown.get("detail") not in (None, "auto"):
                    self.dropped["messages.content.image_url.detail"] = None
                return image(
                    shown["url"], f"{where}.image_url.url", self._capabilities, self._vendor
                )
            case "input_audio":
                return sound(part["input_audio"], f"{where}.input_audio", self._vendor)
            case "file":
                return document(part["file"], f"{where}.file", self._vendor)
            case kind:
                raise self._vendor.unsupported(f"{where}.type", f"it cannot read '{kind}' parts.")


def _signature(carrier: Mapping[str, Any]) -> str | None:
    extra = carrier.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) and signature else None


def _arguments(text: str, where: str) -> _Object:
    if not text.strip():
        return {}
    arguments = decode_value(text)
    if not isinstance(arguments, dict):
        raise MalformedRequest(f"'{where}' must be a JSON object as text.", param=where)
    return arguments


def _result(text: str) -> _Object:
    """A result as an object: its own, else the text under Google's name for a result."""
    value = decode_value(text)
    return value if isinstance(value, dict) and _is_exact(value) else {"output": text}


def _is_exact(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_is_exact, value.values()))
    if isinstance(value, list):
        return all(map(_is_exact, value))
    return not isinstance(value, int) or abs(value) <= _EXACT
