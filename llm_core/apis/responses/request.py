"""A request to the Responses API as a chat request.

| Responses | Chat |
|---|---|
| `input`, `instructions` | `messages`, see `items` |
| `tools`, `tool_choice` | the same, nested, see `tools` |
| `text.format`, `text.verbosity` | `response_format`, `verbosity` |
| `reasoning.effort` | `reasoning_effort` |
| `reasoning.summary` | nothing: it chooses how thoughts are shown, see `building` |
| `max_output_tokens` | `max_completion_tokens` |
| `top_logprobs`, `include: ["message.output_text.logprobs"]` | `top_logprobs`, `logprobs` |
| `truncation: "auto"`, `image`, `reasoning.context` | left out, and said so |

Whatever else there is, a vendor's own members among it, has the same name in both.

Source:
    https://platform.openai.com/docs/api-reference/responses/create (checked 2026-11-20)
    https://platform.openai.com/docs/guides/migrate-to-responses (checked 2026-11-20)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llm_core.apis.responses.checks import check_fields, wrong
from llm_core.apis.responses.items import Conversation, NativeOnly
from llm_core.apis.responses.refusals import refuse_at_all
from llm_core.apis.responses.tools import chat_tools
from llm_core.chat.checks import check_request
from llm_core.chat.request import ChatRequest
from llm_core.errors import MalformedRequest

_Object = dict[str, Any]
_LOGPROBS = "message.output_text.logprobs"
_TRANSLATED = frozenset(
    {
        *("input", "instructions", "tools", "tool_choice", "parallel_tool_calls"),
        *("text", "reasoning", "max_output_tokens", "top_logprobs", "include"),
        # Of no meaning in the chat API.
        *("truncation", "image", "stream_options", "max_tool_calls"),
        # Refused before, but for what is the default anyhow.
        *("store", "service_tier", "background", "previous_response_id", "conversation"),
        *("prompt", "context_management", "access_programs"),
    }
)


@dataclass(frozen=True, slots=True)
class AsChat:
    """A request to the Responses API, put as a chat request.

    Args:
        chat: The request.
        native_only: What it could not say.
        dropped: Knobs that are left out when it is sent as chat.
        sealed_characters: Length of the thoughts that only OpenAI can read.
    """

    chat: ChatRequest
    native_only: tuple[NativeOnly, ...]
    dropped: tuple[str, ...]
    sealed_characters: int


def as_chat(fields: Mapping[str, Any]) -> AsChat:
    """Check and translate a whole request; nothing of `fields` is changed.

    Raises:
        MalformedRequest: With the field at fault.
        UnsupportedParameter: It asks for what is not the caller's to choose.
    """
    check_fields(fields)
    refuse_at_all(fields)
    said = _conversation(fields)
    chat = {k: v for k, v in fields.items() if k not in _TRANSLATED and v is not None}
    chat["messages"] = said.messages
    if not chat["messages"]:
        raise MalformedRequest("'input' says nothing.", param="input")
    chat |= chat_tools(fields)
    chat |= _length_and_form(fields)
    # The tables above know the API's own members; this holds for what a vendor may have added.
    check_request(chat)
    return AsChat(
        ChatRequest(chat), tuple(said.native_only), _dropped(fields), said.sealed_characters
    )


def _conversation(fields: Mapping[str, Any]) -> Conversation:
    said = Conversation(fields.get("instructions"))
    given = fields.get("input")
    if isinstance(given, str):
        said.add({"role": "user", "content": given}, "input")
        return said
    if not isinstance(given, list):
        raise wrong(given, "input", "a string or a list of items")
    if not given:
        raise MalformedRequest("'input' must hold at least one item.", param="input")
    for index, item in enumerate(given):
        said.add(item, f"input[{index}]")
    return said


def _length_and_form(fields: Mapping[str, Any]) -> _Object:
    text = fields.get("text") or {}
    wants_logprobs = _LOGPROBS in (fields.get("include") or ()) or fields.get("top_logprobs")
    wanted = {
        "max_completion_tokens": fields.get("max_output_tokens"),
        "reasoning_effort": (fields.get("reasoning") or {}).get("effort"),
        "verbosity": text.get("verbosity"),
        "response_format": _response_format(text.get("format")),
        "logprobs": True if wants_logprobs else None,
        "top_logprobs": fields.get("top_logprobs") or None,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def _response_format(format_: _Object | None) -> _Object | None:
    kind = (format_ or {}).get("type")
    if format_ is None or kind in (None, "text"):
        return None
    if kind == "json_object":
        return {"type": kind}
    described = {k: v for k, v in format_.items() if k != "type" and v is not None}
    return {"type": kind, kind: described}


def _dropped(fields: Mapping[str, Any]) -> tuple[str, ...]:
    dropped = []
    if fields.get("truncation") == "auto":
        dropped.append("truncation")
    if fields.get("image") is not None:
        dropped.append("image")
    if (fields.get("reasoning") or {}).get("context") not in (None, "auto"):
        dropped.append("reasoning.context")
    return tuple(dropped)
