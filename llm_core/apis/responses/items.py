"""`input` as the messages of a chat request.

| Item | Becomes |
|---|---|
| `message` of a user, the system or a developer | a message of that role |
| `message` of the assistant, `function_call`, `custom_tool_call` | one assistant message together |
| `function_call_output`, `custom_tool_call_output` | a `tool` message |
| `reasoning` | `thinking_blocks` or `reasoning_content` of the assistant message it led to |
| `reasoning` that OpenAI has encrypted | nothing: only OpenAI can read it |

Every other item stands for something that a hosted tool did, or for something kept at the provider,
and is refused.

Source:
    https://platform.openai.com/docs/api-reference/responses/create (checked 2026-11-20)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from llm_core.apis.responses.checks import a_list, a_text, an_object, not_one_of, wrong
from llm_core.apis.responses.refusals import refusal
from llm_core.apis.responses.thoughts import is_ours, unsealed
from llm_core.errors import MalformedRequest

_Object = dict[str, Any]
_ROLES = ("user", "system", "developer", "assistant")
_PARTS = ("input_text", "input_image", "input_file", "input_audio", "output_text", "refusal")
_DETAILS = ("auto", "low", "high")


@dataclass(frozen=True, slots=True)
class NativeOnly:
    """Something asked for that a chat completion cannot say.

    Args:
        param: Where it stands.
        why: The end of a sentence that begins with who cannot do it.
    """

    param: str
    why: str


class Conversation:
    """Takes the items one by one; `messages` is the conversation so far."""

    def __init__(self, instructions: str | None = None) -> None:
        """Start with nothing said.

        Args:
            instructions: The request's; they come first.
        """
        self.native_only: list[NativeOnly] = []
        self.sealed_characters = 0
        """Length of the thoughts that only OpenAI can read: they are part of its prompt."""
        self._messages: list[_Object] = []
        self._turn: _Object | None = None
        if instructions is not None:
            self._messages.append({"role": "system", "content": instructions})

    @property
    def messages(self) -> list[_Object]:
        """The messages, the assistant's last included."""
        self._end_turn()
        return self._messages

    def add(self, given: object, where: str) -> None:
        """Take an item.

        Raises:
            MalformedRequest: It is none.
            UnsupportedParameter: It is of a kind that is not the caller's.
        """
        item = an_object(given, where)
        kind = item.get("type") or ("message" if "role" in item else None)
        take = self._takers().get(a_text(kind, f"{where}.type"))
        if take is None:
            raise refusal(f"{where}.type", _why_not(str(kind)))
        take(item, where)

    def _takers(self) -> Mapping[str, Callable[[_Object, str], None]]:
        return {
            "message": self._add_message,
            "reasoning": self._add_reasoning,
            "function_call": self._add_function_call,
            "custom_tool_call": self._add_custom_call,
            "function_call_output": self._add_result,
            "custom_tool_call_output": self._add_result,
        }

    def _add_message(self, item: _Object, where: str) -> None:
        role = item.get("role")
        if role not in _ROLES:
            raise not_one_of(f"{where}.role", _ROLES)
        content = self._content(item.get("content"), f"{where}.content")
        if role == "assistant":
            self._say(item, content)
            return
        if isinstance(content, list) and any(part["type"] == "refusal" for part in content):
            raise MalformedRequest(
                f"'{where}.content' holds a refusal, which only the assistant can say.",
                param=f"{where}.content",
            )
        self._end_turn()
        self._messages.append({"role": role, "content": content})

    def _say(self, item: _Object, content: str | list[_Object]) -> None:
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        turn = self._turn
        if turn is not None and (turn["parts"] or turn["refusals"]) and not turn["tool_calls"]:
            self._end_turn()
        turn = self._open_turn()
        turn["parts"] += [part for part in parts if part["type"] != "refusal"]
        turn["refusals"] += [part["refusal"] for part in parts if part["type"] == "refusal"]
        if isinstance(item.get("extra_content"), dict):
            turn["extra_content"] = item["extra_content"]

    def _add_reasoning(self, item: _Object, where: str) -> None:
        content = item.get("encrypted_content")
        if is_ours(content):
            self._open_turn()["thinking_blocks"] += unsealed(str(content))
        elif content is not None:
            self.sealed_characters += len(a_text(content, f"{where}.encrypted_content"))
            return
        for name in ("content", "summary"):
            said = item.get(name)
            if said:
                texts = [
                    a_text(an_object(part, f"{where}.{name}[{index}]").get("text"), where)
                    for index, part in enumerate(a_list(said, f"{where}.{name}"))
                ]
                self._open_turn()["reasoning"] += texts
                return

    def _add_function_call(self, item: _Object, where: str) -> None:
        function = {
            "name": a_text(item.get("name"), f"{where}.name"),
            "arguments": a_text(item.get("arguments"), f"{where}.arguments"),
        }
        self._add_call(item, where, {"type": "function", "function": function})

    def _add_custom_call(self, item: _Object, where: str) -> None:
        custom = {
            "name": a_text(item.get("name"), f"{where}.name"),
            "input": a_text(item.get("input"), f"{where}.input"),
        }
        self._add_call(item, where, {"type": "custom", "custom": custom})

    def _add_call(self, item: _Object, where: str, call: _Object) -> None:
        call = {"id": a_text(item.get("call_id"), f"{where}.call_id"), **call}
        if isinstance(item.get("extra_content"), dict):
            call["extra_content"] = item["extra_content"]
        self._open_turn()["tool_calls"].append(call)

    def _add_result(self, item: _Object, where: str) -> None:
        call_id = a_text(item.get("call_id"), f"{where}.call_id")
        content = self._content(item.get("output"), f"{where}.output")
        self._end_turn()
        self._messages.append({"role": "tool", "tool_call_id": call_id, "content": content})

    def _open_turn(self) -> _Object:
        if self._turn is None:
            self._turn = {name: [] for name in _TURN}
        return self._turn

    def _end_turn(self) -> None:
        turn, self._turn = self._turn, None
        # Thoughts that led to nothing are of no use to any provider.
        if turn is None or not (turn["parts"] or turn["refusals"] or turn["tool_calls"]):
            return
        message: _Object = {"role": "assistant", "content": _plain(turn["parts"])}
        if turn["refusals"]:
            message["refusal"] = "".join(turn["refusals"])
        if turn["reasoning"]:
            message["reasoning_content"] = "".join(turn["reasoning"])
        for name in ("thinking_blocks", "tool_calls", "extra_content"):
            if turn.get(name):
                message[name] = turn[name]
        self._messages.append(message)

    def _content(self, content: object, where: str) -> str | list[_Object]:
        if isinstance(content, str):
            return content
        if not isinstance(content, list):
            raise wrong(content, where, "a string or a list of parts")
        if not content:
            raise MalformedRequest(f"'{where}' must hold at least one part.", param=where)
        return [self._part(part, f"{where}[{index}]") for index, part in enumerate(content)]

    def _part(self, given: object, where: str) -> _Object:
        part = an_object(given, where)
        match part.get("type"):
            case "input_text" | "output_text":
                return {"type": "text", "text": a_text(part.get("text"), f"{where}.text")}
            case "refusal":
                said = a_text(part.get("refusal"), f"{where}.refusal")
                return {"type": "refusal", "refusal": said}
            case "input_image":
                return {"type": "image_url", "image_url": self._image(part, where)}
            case "input_file":
                return {"type": "file", "file": self._file(part, where)}
            case "input_audio":
                audio = an_object(part.get("input_audio"), f"{where}.input_audio")
                return {"type": "input_audio", "input_audio": audio}
            case _:
                raise not_one_of(f"{where}.type", _PARTS)

    def _image(self, part: _Object, where: str) -> _Object:
        detail = part.get("detail")
        # The chat API's highest is `high`.
        known = {} if detail is None else {"detail": detail if detail in _DETAILS else "high"}
        _refuse_stored(part, where, "send the image itself.")
        return {"url": a_text(part.get("image_url"), f"{where}.image_url"), **known}

    def _file(self, part: _Object, where: str) -> _Object:
        _refuse_stored(part, where, "send 'file_data'.")
        file = {
            name: a_text(part[name], f"{where}.{name}")
            for name in ("file_data", "filename", "file_url")
            if part.get(name) is not None
        }
        if not file.keys() & {"file_data", "file_url"}:
            raise MalformedRequest(f"'{where}.file_data' is missing.", param=f"{where}.file_data")
        if "file_url" in file:
            param = f"{where}.file_url"
            self.native_only.append(NativeOnly(param, "fetches no files; send 'file_data'."))
        return file


def _refuse_stored(part: _Object, where: str, instead: str) -> None:
    """Refuse a file that lies at the provider, in an account that all callers share."""
    if part.get("file_id") is not None:
        raise refusal(f"{where}.file_id", f"whose file that is cannot be told; {instead}")


_TURN = ("parts", "refusals", "reasoning", "thinking_blocks", "tool_calls")


def _plain(parts: list[_Object]) -> str | list[_Object] | None:
    if not parts:
        return None
    if len(parts) == 1 and parts[0]["type"] == "text":
        text: str = parts[0]["text"]
        return text
    return parts


def _why_not(kind: str) -> str:
    if kind == "item_reference":
        return "items are not kept; send the item itself."
    if kind == "compaction":
        return "only OpenAI could read it; send the items themselves."
    return "messages, reasoning, and calls of functions and custom tools can be sent."
