"""Refuses what Mistral's chat API refuses: every field that it does not know, first of all.

Source:
    https://docs.mistral.ai/api/endpoint/chat (checked 2026-11-20); the messages about order and
    ids as users report them, for example https://github.com/QuantumNous/new-api/issues/2858,
    https://github.com/datapizza-labs/datapizza-ai/issues/98 and
    https://github.com/nearai/ironclaw/issues/1241
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.mistral.errors import error, invalid, missing, out_of_order
from sandbox.tokens import words

_PARAMETERS = frozenset(
    words(
        """model messages temperature top_p max_tokens stream stop random_seed metadata
        response_format tools tool_choice presence_penalty frequency_penalty min_tokens
        repetition_penalty top_k logprobs top_logprobs prompt_logprobs top_prompt_logprobs n
        prediction parallel_tool_calls reasoning_effort prompt_mode guardrails prompt_cache_key
        service_tier safe_prompt"""
    )
)
_MEMBERS = {
    "system": frozenset({"role", "content"}),
    "user": frozenset({"role", "content"}),
    "assistant": frozenset({"role", "content", "tool_calls", "prefix"}),
    "tool": frozenset({"role", "content", "tool_call_id", "name"}),
}
_CHUNKS = {
    "system": frozenset({"text", "thinking"}),
    "user": frozenset({"text", "image_url", "document_url", "input_audio", "file"}),
    "assistant": frozenset({"text", "thinking", "reference", "image_url"}),
    "tool": frozenset({"text", "image_url", "document_url"}),
}
_RANGES = {
    "temperature": (0, 1.5),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "random_seed": (0, None),
    "max_tokens": (0, None),
    "n": (1, None),
}
_CALL_ID = re.compile(r"[a-zA-Z0-9]{9}")
_WITHOUT_REASONING = re.compile(
    r"(open-|codestral|devstral|ministral|pixtral|voxtral|magistral|mistral-large-2)"
)


def check(payload: Mapping[str, Any], model: str) -> None:
    """Check a request's body.

    Args:
        payload: The body, decoded.
        model: The model's name without the sandbox's own suffixes.

    Raises:
        Refusal: The first thing that Mistral would complain about.
    """
    for name in ("model", "messages"):
        if payload.get(name) is None:
            raise missing(name)
    forbid_others(payload, _PARAMETERS)
    for name, (least, most) in _RANGES.items():
        _check_range(name, payload.get(name), least, most)
    _check_messages(payload["messages"])
    _check_tools(payload)
    _check_format(payload.get("response_format"))
    if payload.get("reasoning_effort") and _WITHOUT_REASONING.match(model):
        message = "reasoning_effort is not enabled for this model"
        raise error(400, message, "invalid_request_prompt", "3051")


def forbid_others(
    given: Mapping[str, Any], known: frozenset[str], where: Sequence[str | int] = ()
) -> None:
    """Refuse members that are not known.

    Raises:
        Refusal: 422, as pydantic words it.
    """
    for name, value in given.items():
        if name not in known:
            message = "Extra inputs are not permitted"
            raise invalid([*where, name], message, "extra_forbidden", value)


def _check_range(name: str, given: object, least: float, most: float | None) -> None:
    if given is None:
        return
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise invalid([name], "Input should be a valid number", "float_parsing", given)
    if given < least:
        message = f"Input should be greater than or equal to {least}"
        raise invalid([name], message, "greater_than_equal", given)
    if most is not None and given > most:
        message = f"Input should be less than or equal to {most}"
        raise invalid([name], message, "less_than_equal", given)


def _check_messages(messages: object) -> None:
    if not isinstance(messages, list):
        raise invalid(["messages"], "Input should be a valid list", "list_type", messages)
    if not messages:
        raise error(400, "Conversation must have at least one message", "invalid_request", "3210")
    for place, message in enumerate(messages):
        _check_message(message, place)
    _check_order(messages)


def _check_message(message: Mapping[str, Any], place: int) -> None:
    role = message.get("role")
    if not isinstance(role, str) or role not in _MEMBERS:
        text = f"Input tag '{role}' found using 'role' does not match any of the expected tags"
        raise invalid(["messages", place], text, "union_tag_invalid", role)
    where: list[str | int] = ["messages", place, role]
    forbid_others(message, _MEMBERS[role], where)
    content = message.get("content")
    if content is None and role != "assistant":
        raise missing(*where, "content")
    for index, chunk in enumerate(content if isinstance(content, list) else ()):
        kind = chunk.get("type")
        if kind not in _CHUNKS[role]:
            text = f"Input tag '{kind}' does not match any of the expected tags"
            raise invalid([*where, "content", index], text, "union_tag_invalid", kind)
    for call in message.get("tool_calls") or ():
        _check_call_id(call.get("id"))
    if role == "tool":
        _check_call_id(message.get("tool_call_id"))


def _check_call_id(given: object) -> None:
    if not isinstance(given, str) or not _CALL_ID.fullmatch(given):
        raise error(
            400,
            f"Tool call id was {given} but must be a-z, A-Z, 0-9, with a length of 9.",
            "invalid_function_call",
            "3280",
        )


def _check_order(messages: Sequence[Mapping[str, Any]]) -> None:
    open_ids: list[str] = []
    before = ""
    for message in messages:
        role = message["role"]
        if role == "user" and before == "tool":
            raise out_of_order("Unexpected role 'user' after role 'tool'")
        before = role
        if role == "tool":
            if message["tool_call_id"] not in open_ids:
                raise out_of_order("Unexpected tool call id in tool results")
            open_ids.remove(message["tool_call_id"])
            continue
        if open_ids:
            raise out_of_order("Not the same number of function calls and responses")
        if role == "assistant":
            open_ids = [call["id"] for call in message.get("tool_calls") or ()]
            if not message.get("content") and not open_ids:
                raise out_of_order("Assistant message must have either content or tool_calls")
    if open_ids:
        raise out_of_order("Not the same number of function calls and responses")
    last = messages[-1]
    if last["role"] in ("user", "tool") or last.get("prefix"):
        return
    raise out_of_order(
        "Expected last role User or Tool (or Assistant with prefix True) for serving but got "
        f"{last['role']}"
    )


def _check_tools(payload: Mapping[str, Any]) -> None:
    for place, tool in enumerate(payload.get("tools") or ()):
        function = tool.get("function")
        if tool.get("type", "function") != "function" or not isinstance(function, dict):
            raise missing("tools", place, "function")
        for name in ("name", "parameters"):
            if function.get(name) is None:
                raise missing("tools", place, "function", name)
    choice = payload.get("tool_choice")
    if isinstance(choice, str) and choice not in ("auto", "none", "any", "required"):
        text = "Input should be 'auto', 'none', 'any' or 'required'"
        raise invalid(["tool_choice"], text, "enum", choice)
    if choice in ("any", "required") and not payload.get("tools"):
        raise error(400, "tool_choice requires tools", "invalid_request", "3210")


def _check_format(wanted: object) -> None:
    if not isinstance(wanted, dict):
        return
    if wanted.get("type", "text") not in ("text", "json_object", "json_schema"):
        text = "Input should be 'text', 'json_object' or 'json_schema'"
        raise invalid(["response_format", "type"], text, "enum", wanted.get("type"))
    if wanted.get("type") == "json_schema":
        described = wanted.get("json_schema")
        for name in ("name", "schema"):
            if not isinstance(described, dict) or described.get(name) is None:
                raise missing("response_format", "json_schema", name)
