"""Refuses what Cohere's chat API refuses.

Source:
    https://docs.cohere.com/reference/chat and https://docs.cohere.com/reference/errors
    (checked 2026-11-20)
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.cohere.errors import invalid, unknown_field
from sandbox.tokens import words

_PARAMETERS = frozenset(
    words(
        """model messages tools strict_tools documents citation_options response_format safety_mode
        max_tokens stop_sequences temperature seed frequency_penalty presence_penalty k p logprobs
        tool_choice thinking priority stream"""
    )
)
_MEMBERS = {
    "system": frozenset({"role", "content"}),
    "user": frozenset({"role", "content"}),
    "assistant": frozenset({"role", "content", "tool_calls", "tool_plan", "citations"}),
    "tool": frozenset({"role", "content", "tool_call_id"}),
}
_BLOCKS = {
    "system": frozenset({"text"}),
    "user": frozenset({"text", "image_url"}),
    "assistant": frozenset({"text", "thinking"}),
    "tool": frozenset({"text", "document"}),
}
_RANGES: Mapping[str, tuple[float, float]] = {
    "temperature": (0, 1),
    "p": (0.01, 0.99),
    "k": (0, 500),
    "frequency_penalty": (0, 1),
    "presence_penalty": (0, 1),
    "seed": (0, 2**64),
}
_MOST_STOPS = 5
_WITHOUT_THINKING = re.compile(r"command(-r|$|-light|-nightly|-a-(03|vision|translate))")


def check(payload: Mapping[str, Any], model: str) -> None:
    """Check a request's body.

    Args:
        payload: The body, decoded.
        model: The model's name without the sandbox's own suffixes.

    Raises:
        Refusal: The first thing that Cohere would complain about.
    """
    if not payload.get("model"):
        raise invalid("a model parameter is required for this endpoint.")
    unknown = next((key for key in payload if key not in _PARAMETERS), None)
    if unknown is not None:
        raise unknown_field(unknown)
    for name, (least, most) in _RANGES.items():
        given = payload.get(name)
        if given is not None and not least <= given <= most:
            raise invalid(f"{name} must be between {least} and {most} inclusive.")
    _check_messages(payload.get("messages"))
    _check_tools(payload)
    _check_output(payload, model)


def _check_messages(messages: object) -> None:
    if not isinstance(messages, list) or not messages:
        raise invalid("messages must not be empty.")
    open_ids: list[str] = []
    for place, message in enumerate(messages):
        role = message.get("role")
        if role not in _MEMBERS:
            raise invalid(f"messages[{place}]: role must be one of {', '.join(_MEMBERS)}.")
        if role == "system" and place:
            raise invalid("system turn must be the first in the list")
        _check_members(message, role, place)
        if role == "tool":
            if message.get("tool_call_id") not in open_ids:
                raise invalid("a tool message must answer a tool call of the turn before it.")
        elif role == "assistant":
            open_ids = [call["id"] for call in message.get("tool_calls") or ()]
    if messages[-1]["role"] == "system":
        raise invalid("the conversation must have a user turn.")


def _check_members(message: Mapping[str, Any], role: str, place: int) -> None:
    unknown = next((key for key in message if key not in _MEMBERS[role]), None)
    if unknown is not None:
        raise unknown_field(f"messages[{place}].{unknown}")
    content = message.get("content")
    if not content and not message.get("tool_calls"):
        raise invalid("message must not be empty in a turn")
    for block in content if isinstance(content, list) else ():
        if block.get("type") not in _BLOCKS[role]:
            raise invalid(f"messages[{place}]: content of type '{block.get('type')}'.")
        if block["type"] == "document" and not isinstance(block["document"]["data"], dict):
            raise invalid("a document's data must be an object.")


def _check_tools(payload: Mapping[str, Any]) -> None:
    tools: Sequence[Mapping[str, Any]] = payload.get("tools") or ()
    for tool in tools:
        function = tool.get("function") or {}
        if tool.get("type") != "function" or not function.get("name"):
            raise invalid("a tool must be a function with a name.")
        if not isinstance(function.get("parameters"), dict):
            raise invalid("a function must have parameters.")
    choice = payload.get("tool_choice")
    if choice not in (None, "REQUIRED", "NONE"):
        raise invalid("tool_choice must be one of REQUIRED, NONE.")
    if choice == "REQUIRED" and not tools:
        raise invalid("tool_choice needs tools.")


def _check_output(payload: Mapping[str, Any], model: str) -> None:
    if len(payload.get("stop_sequences") or ()) > _MOST_STOPS:
        raise invalid(f"at most {_MOST_STOPS} stop sequences.")
    wanted = payload.get("response_format") or {"type": "text"}
    if wanted.get("type") not in ("text", "json_object"):
        raise invalid("response_format must be one of text, json_object.")
    if wanted["type"] == "json_object":
        for name, said in (("tools", "tools"), ("documents", "RAG")):
            if payload.get(name):
                raise invalid(f"response_format is not supported with {said}.")
    thinking = payload.get("thinking")
    if thinking is None:
        return
    if thinking.get("type") not in ("enabled", "disabled"):
        raise invalid("thinking type must be one of enabled, disabled.")
    if _WITHOUT_THINKING.match(model):
        raise invalid(f"thinking is not supported by the model '{model}'.")
