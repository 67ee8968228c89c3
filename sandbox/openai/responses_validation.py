"""Refuses what OpenAI's Responses API refuses, with its words.

Source:
    https://platform.openai.com/docs/api-reference/responses/create (checked 2026-11-20); messages
    and `param` as reported by users, for example
    https://github.com/openai/openai-agents-python/issues/1016 and
    https://github.com/openai/codex/issues/1358
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.openai.errors import error
from sandbox.refusal import Refusal
from sandbox.tokens import words

SEALED = "gAAAAAsandbox"
"""How thoughts that the sandbox has encrypted begin."""

_PARAMETERS = frozenset(
    words(
        """access_programs background context_management conversation image include input
        instructions max_output_tokens max_tool_calls metadata model moderation parallel_tool_calls
        previous_response_id prompt prompt_cache_key prompt_cache_options prompt_cache_retention
        reasoning safety_identifier service_tier store stream stream_options temperature text
        tool_choice tools top_logprobs top_p truncation user"""
    )
)
_ITEMS = tuple(
    words(
        """message function_call function_call_output custom_tool_call custom_tool_call_output
        reasoning item_reference"""
    )
)
_USER_PARTS = ("input_text", "input_image", "input_file")
_ASSISTANT_PARTS = ("output_text", "refusal")
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_RANGES = {"temperature": (0, 2), "top_p": (0, 1)}
_LEAST_OUTPUT = 16


def check(payload: Mapping[str, Any]) -> None:
    """Check a request's body.

    Raises:
        Refusal: The first thing that OpenAI would complain about.
    """
    unknown = next((key for key in payload if key not in _PARAMETERS), None)
    if unknown is not None:
        raise error(
            400, f"Unknown parameter: '{unknown}'.", param=unknown, code="unknown_parameter"
        )
    if payload.get("previous_response_id") is not None:
        raise error(
            400,
            f"Previous response with id '{payload['previous_response_id']}' not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    _check_input(payload.get("input"))
    _check_numbers(payload)
    _check_tools(payload)
    _check_form(payload)


def _check_input(given: object) -> None:
    if given is None:
        raise error(
            400,
            "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' must be "
            "provided.",
            param="input",
            code="missing_required_parameter",
        )
    if isinstance(given, str):
        return
    if not isinstance(given, list):
        raise error(
            400,
            "Invalid type for 'input': expected one of an array of objects or string.",
            param="input",
            code="invalid_type",
        )
    open_ids: list[str] = []
    answered: set[str] = set()
    for place, item in enumerate(given):
        _check_item(item, f"input[{place}]")
        kind = item.get("type")
        if kind in ("function_call", "custom_tool_call"):
            open_ids.append(item["call_id"])
        if kind in ("function_call_output", "custom_tool_call_output"):
            if item["call_id"] not in open_ids:
                raise error(
                    400,
                    f"No tool call found for function call output with call_id {item['call_id']}.",
                    param="input",
                )
            answered.add(item["call_id"])
    for call_id in open_ids:
        if call_id not in answered:
            raise error(400, f"No tool output found for function call {call_id}.", param="input")


def _check_item(item: Mapping[str, Any], where: str) -> None:
    kind = item.get("type", "message")
    if kind not in _ITEMS:
        raise _not_one_of(f"{where}.type", kind, _ITEMS)
    match kind:
        case "message":
            _check_message(item, where)
        case "reasoning":
            _check_thoughts(item, where)
        case "item_reference":
            raise _not_found(item["id"])
        case "function_call":
            _require(item, where, "call_id", "name", "arguments")
            _check_id(item, where, "fc")
        case "custom_tool_call":
            _require(item, where, "call_id", "name", "input")
            _check_id(item, where, "ctc")
        case _:
            _require(item, where, "call_id", "output")


def _check_message(item: Mapping[str, Any], where: str) -> None:
    _require(item, where, "role", "content")
    known = ("assistant", "system", "developer", "user")
    if item["role"] not in known:
        raise _not_one_of(f"{where}.role", item["role"], known)
    if isinstance(item["content"], str):
        return
    parts = _ASSISTANT_PARTS if item["role"] == "assistant" else _USER_PARTS
    for place, part in enumerate(item["content"]):
        if part.get("type") not in parts:
            raise _not_one_of(f"{where}.content[{place}]", part.get("type"), parts)
    if item["role"] == "assistant":
        _check_id(item, where, "msg")


def _check_thoughts(item: Mapping[str, Any], where: str) -> None:
    _require(item, where, "summary")
    _check_id(item, where, "rs")
    content = item.get("encrypted_content")
    if content is None:
        raise _not_found(item.get("id", ""))
    if not str(content).startswith(SEALED):
        raise error(
            400,
            f"The encrypted content for item {item.get('id')} could not be verified.",
            code="invalid_encrypted_content",
        )


def _check_id(item: Mapping[str, Any], where: str, prefix: str) -> None:
    given = item.get("id")
    if given is not None and not str(given).startswith(prefix):
        raise error(
            400,
            f"Invalid '{where}.id': '{given}'. Expected an ID that begins with '{prefix}'.",
            param=f"{where}.id",
            code="invalid_value",
        )


def _not_found(item_id: str) -> Refusal:
    return error(
        404,
        f"Item with id '{item_id}' not found. Items are not persisted when `store` is set to "
        "false. Try again with `store` set to true, or remove this item from your input.",
        param="input",
    )


def _check_numbers(payload: Mapping[str, Any]) -> None:
    for name, (least, most) in _RANGES.items():
        given = payload.get(name)
        if given is not None and not least <= given <= most:
            side, sign, bound = (
                ("above max", "<=", most) if given > most else ("below min", ">=", 0)
            )
            raise error(
                400,
                f"Invalid '{name}': decimal {side}imum value. Expected a value {sign} {bound}, but "
                f"got {given} instead.",
                param=name,
                code=f"decimal_{side.replace(' ', '_')}_value",
            )
    longest = payload.get("max_output_tokens")
    if longest is not None and longest < _LEAST_OUTPUT:
        raise error(
            400,
            "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= "
            f"{_LEAST_OUTPUT}, but got {longest} instead.",
            param="max_output_tokens",
            code="integer_below_min_value",
        )


def _check_tools(payload: Mapping[str, Any]) -> None:
    tools = payload.get("tools") or []
    for place, tool in enumerate(tools):
        _require(tool, f"tools[{place}]", "type")
        if tool["type"] in ("function", "custom"):
            _require(tool, f"tools[{place}]", "name")
    choice = payload.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") in ("function", "custom"):
        wanted = choice.get("name")
        if wanted not in [tool.get("name") for tool in tools]:
            raise error(
                400,
                f"Tool choice '{wanted}' not found in 'tools' parameter.",
                param="tool_choice",
            )


def _check_form(payload: Mapping[str, Any]) -> None:
    effort = (payload.get("reasoning") or {}).get("effort")
    if effort is not None and effort not in _EFFORTS:
        raise _not_one_of("reasoning.effort", effort, _EFFORTS)
    wanted = (payload.get("text") or {}).get("format") or {"type": "text"}
    known = ("json_object", "json_schema", "text")
    if wanted.get("type") not in known:
        raise _not_one_of("text.format.type", wanted.get("type"), known)
    if wanted["type"] == "json_schema":
        _require(wanted, "text.format", "name", "schema")
    if wanted["type"] == "json_object" and "json" not in str(payload["input"]).lower():
        raise error(
            400,
            "Response input messages must contain the word 'json' in some form to use "
            "'text.format' of type 'json_object'.",
            param="input",
        )


def _require(members: Mapping[str, Any], where: str, *names: str) -> None:
    for name in names:
        if members.get(name) is None:
            raise error(
                400,
                f"Missing required parameter: '{where}.{name}'.",
                param=f"{where}.{name}",
                code="missing_required_parameter",
            )


def _not_one_of(where: str, given: object, known: Sequence[str]) -> Refusal:
    supported = ", ".join(f"'{value}'" for value in known[:-1])
    return error(
        400,
        f"Invalid value: '{given}'. Supported values are: {supported}, and '{known[-1]}'.",
        param=where,
        code="invalid_value",
    )
