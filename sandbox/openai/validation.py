"""Refuses what OpenAI's chat completions API refuses, with its words.

Source:
    https://platform.openai.com/docs/api-reference/chat/create (checked 2026-11-20)
"""

import re
from collections.abc import Mapping
from typing import Any

from sandbox.openai.errors import error
from sandbox.refusal import Refusal
from sandbox.tokens import words

_PARAMETERS = frozenset(
    words(
        """audio frequency_penalty function_call functions logit_bias logprobs
        max_completion_tokens max_tokens messages metadata modalities model moderation n
        parallel_tool_calls prediction presence_penalty prompt_cache_key prompt_cache_options
        prompt_cache_retention reasoning_effort response_format safety_identifier seed
        service_tier stop store stream stream_options temperature tool_choice tools top_logprobs
        top_p user verbosity web_search_options"""
    )
)
_ROLES = ("system", "assistant", "user", "function", "tool", "developer")
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_RANGES = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
}
_WHOLE_NUMBERS = ("n", "max_tokens", "max_completion_tokens")
_MOST_STOPS = 4
_MOST_CHOICES = 128
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_REASONING_MODEL = re.compile(r"(o\d|gpt-5|gpt-6)")


def check(payload: Mapping[str, Any], model: str) -> None:
    """Check a request's body.

    Args:
        payload: The body, decoded.
        model: The model's name without the sandbox's own suffixes.

    Raises:
        Refusal: The first thing that OpenAI would complain about.
    """
    unknown = next((key for key in payload if key not in _PARAMETERS), None)
    if unknown is not None:
        raise error(
            400, f"Unknown parameter: '{unknown}'.", param=unknown, code="unknown_parameter"
        )
    _check_messages(payload.get("messages"))
    _check_numbers(payload)
    _check_lengths(payload, model)
    _check_tools(payload)
    _check_output(payload)


def _check_messages(messages: object) -> None:
    if messages is None:
        raise error(
            400,
            "Missing required parameter: 'messages'.",
            param="messages",
            code="missing_required_parameter",
        )
    if not isinstance(messages, list):
        raise _wrong_type("messages", "an array of objects", messages)
    if not messages:
        raise _empty("messages")
    open_ids: dict[str, int] = {}
    may_answer = False
    for place, message in enumerate(messages):
        role = _role(message, place)
        if role == "tool":
            _check_result(message, place, open_ids, may_answer=may_answer)
            continue
        _check_answered(open_ids)
        calls = message.get("tool_calls") or []
        may_answer = role == "assistant" and bool(calls)
        open_ids.update({str(call.get("id")): place for call in calls})
        _check_content(message, place)
    _check_answered(open_ids)


def _role(message: object, place: int) -> str:
    if not isinstance(message, dict):
        raise _wrong_type(f"messages[{place}]", "an object", message)
    role = message.get("role")
    if role is None:
        raise error(
            400,
            f"Missing required parameter: 'messages[{place}].role'.",
            param=f"messages[{place}].role",
            code="missing_required_parameter",
        )
    if role not in _ROLES:
        raise _not_one_of(f"messages[{place}].role", role, _ROLES)
    return str(role)


def _check_result(
    message: Mapping[str, Any], place: int, open_ids: dict[str, int], *, may_answer: bool
) -> None:
    if not may_answer:
        raise error(
            400,
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding "
            "message with 'tool_calls'.",
            param=f"messages.[{place}].role",
        )
    answered = message.get("tool_call_id")
    if answered is None:
        raise error(
            400,
            f"Missing required parameter: 'messages[{place}].tool_call_id'.",
            param=f"messages[{place}].tool_call_id",
            code="missing_required_parameter",
        )
    if open_ids.pop(answered, None) is None:
        raise error(
            400,
            "Invalid parameter: 'tool_call_id' of "
            f"'{answered}' not found in 'tool_calls' of previous message.",
            param=f"messages.[{place}].tool_call_id",
        )


def _check_answered(open_ids: Mapping[str, int]) -> None:
    if open_ids:
        raise error(
            400,
            "An assistant message with 'tool_calls' must be followed by tool messages responding "
            "to each 'tool_call_id'. The following tool_call_ids did not have response messages: "
            + ", ".join(open_ids),
            param=f"messages.[{min(open_ids.values())}].role",
        )


def _check_content(message: Mapping[str, Any], place: int) -> None:
    content = message.get("content")
    where = f"messages[{place}].content"
    if content is None:
        if message["role"] == "assistant" and (
            message.get("tool_calls") or message.get("refusal") or message.get("function_call")
        ):
            return
        raise error(
            400,
            f"Invalid value for 'content': expected a string, got null. ('{where}')",
            param=f"messages.[{place}].content",
        )
    if not isinstance(content, str | list):
        raise _wrong_type(where, "one of a string or array of objects", content)
    if content == []:
        raise _empty(where)


def _check_numbers(payload: Mapping[str, Any]) -> None:
    for name, (least, most) in _RANGES.items():
        given = payload.get(name)
        if given is None:
            continue
        if isinstance(given, bool) or not isinstance(given, int | float):
            raise _wrong_type(name, "a decimal", given)
        if given > most:
            raise _bound(name, given, "above max", most)
        if given < least:
            raise _bound(name, given, "below min", least)
    choices = payload.get("n")
    if choices is not None and not 1 <= choices <= _MOST_CHOICES:
        if choices < 1:
            raise _bound("n", choices, "below min", 1)
        raise _bound("n", choices, "above max", _MOST_CHOICES)


def _check_lengths(payload: Mapping[str, Any], model: str) -> None:
    older, newer = payload.get("max_tokens"), payload.get("max_completion_tokens")
    if older is not None and newer is not None:
        raise error(
            400,
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            code="invalid_parameter_combination",
        )
    if older is not None and _REASONING_MODEL.match(model):
        raise error(
            400,
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead.",
            param="max_tokens",
            code="unsupported_parameter",
        )
    for name, given in (("max_tokens", older), ("max_completion_tokens", newer)):
        if given is not None and (isinstance(given, bool) or not isinstance(given, int)):
            raise _wrong_type(name, "an integer", given)
        if given is not None and given < 1:
            raise _bound(name, given, "below min", 1)
    stops = payload.get("stop")
    if isinstance(stops, list) and len(stops) > _MOST_STOPS:
        raise error(
            400,
            f"Invalid 'stop': array too long. Expected an array with maximum length {_MOST_STOPS}, "
            f"but got an array with length {len(stops)} instead.",
            param="stop",
            code="array_above_max_length",
        )


def _check_tools(payload: Mapping[str, Any]) -> None:
    tools = payload.get("tools")
    if tools is None:
        for name in ("tool_choice", "parallel_tool_calls"):
            if payload.get(name) is not None:
                raise error(
                    400, f"'{name}' is only allowed when 'tools' are specified.", param=name
                )
        return
    if tools == []:
        raise _empty("tools")
    for place, tool in enumerate(tools):
        _check_tool(tool, place)
    choice = payload.get("tool_choice")
    names = [tool["function"]["name"] for tool in tools]
    if isinstance(choice, str) and choice not in ("none", "auto", "required"):
        raise _not_one_of("tool_choice", choice, ("none", "auto", "required"))
    if isinstance(choice, dict) and choice.get("type") == "function":
        wanted = choice.get("function", {}).get("name")
        if wanted not in names:
            raise error(
                400,
                f"Tool choice '{wanted}' not found in 'tools' parameter.",
                param="tool_choice",
            )


def _check_tool(tool: Mapping[str, Any], place: int) -> None:
    where = f"tools[{place}]"
    if tool.get("type") != "function":
        raise _not_one_of(f"{where}.type", tool.get("type"), ("function",))
    name = tool.get("function", {}).get("name")
    if name is None:
        raise error(
            400,
            f"Missing required parameter: '{where}.function.name'.",
            param=f"{where}.function.name",
            code="missing_required_parameter",
        )
    if not _NAME.fullmatch(str(name)):
        raise error(
            400,
            f"Invalid '{where}.function.name': string does not match pattern. Expected a string "
            "that matches the pattern '^[a-zA-Z0-9_-]+$'.",
            param=f"{where}.function.name",
            code="invalid_value",
        )


def _check_output(payload: Mapping[str, Any]) -> None:
    if payload.get("stream_options") is not None and not payload.get("stream"):
        raise error(
            400,
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            param="stream_options",
        )
    effort = payload.get("reasoning_effort")
    if effort is not None and effort not in _EFFORTS:
        raise _not_one_of("reasoning_effort", effort, _EFFORTS)
    wanted = payload.get("response_format") or {"type": "text"}
    match wanted.get("type"):
        case "text":
            return
        case "json_object":
            if "json" not in str(payload["messages"]).lower():
                raise error(
                    400,
                    "'messages' must contain the word 'json' in some form, to use "
                    "'response_format' of type 'json_object'.",
                    param="messages",
                )
        case "json_schema":
            _check_schema(wanted.get("json_schema"))
        case other:
            known = ("json_object", "json_schema", "text")
            raise _not_one_of("response_format.type", other, known)


def _check_schema(wanted: object) -> None:
    if not isinstance(wanted, dict) or "name" not in wanted:
        where = "response_format.json_schema"
        where += ".name" if isinstance(wanted, dict) else ""
        raise error(
            400,
            f"Missing required parameter: '{where}'.",
            param=where,
            code="missing_required_parameter",
        )
    schema = wanted.get("schema") or {}
    if not wanted.get("strict") or schema.get("type") != "object":
        return
    problem = None
    if schema.get("additionalProperties") is not False:
        problem = "'additionalProperties' is required to be supplied and to be false."
    missing = set(schema.get("properties", {})) - set(schema.get("required", ()))
    if missing:
        problem = (
            "'required' is required to be supplied and to be an array including every key in "
            f"properties. Missing '{min(missing)}'."
        )
    if problem:
        raise error(
            400,
            f"Invalid schema for response_format '{wanted['name']}': In context=(), {problem}",
            param="response_format",
        )


def _not_one_of(where: str, given: object, known: tuple[str, ...]) -> Refusal:
    supported = ", ".join(f"'{value}'" for value in known[:-1])
    supported = f"{supported}, and '{known[-1]}'" if supported else f"'{known[-1]}'"
    return error(
        400,
        f"Invalid value: '{given}'. Supported values are: {supported}.",
        param=where,
        code="invalid_value",
    )


def _wrong_type(where: str, expected: str, given: object) -> Refusal:
    kinds = {bool: "a boolean", int: "an integer", float: "a decimal", str: "a string"}
    kinds |= {list: "an array", dict: "an object"}
    got = kinds.get(type(given), "null")
    return error(
        400,
        f"Invalid type for '{where}': expected {expected}, but got {got} instead.",
        param=where,
        code="invalid_type",
    )


def _empty(where: str) -> Refusal:
    return error(
        400,
        f"Invalid '{where}': empty array. Expected an array with minimum length 1, but got an "
        "empty array instead.",
        param=where,
        code="empty_array",
    )


def _bound(where: str, given: float, side: str, bound: float) -> Refusal:
    kind = "integer" if where in _WHOLE_NUMBERS else "decimal"
    sign = "<=" if side == "above max" else ">="
    return error(
        400,
        f"Invalid '{where}': {kind} {side}imum value. Expected a value {sign} {bound}, but got "
        f"{given} instead.",
        param=where,
        code=f"{kind}_{side.replace(' ', '_')}_value",
    )
