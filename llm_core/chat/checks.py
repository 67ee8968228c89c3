"""What must hold for a request before anything else looks at it.

One walk over the parsed object; strings are never copied or scanned, so the time does not grow with
the length of the prompt.
"""

from collections.abc import Callable, Mapping
from typing import Any

from llm_core.errors import MalformedRequest

ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
RESPONSE_FORMATS = frozenset({"text", "json_object", "json_schema"})

MAX_MODEL_CHARACTERS = 256
MAX_OUTPUT_TOKENS = 2**31
MAX_CHOICES = 128

_Object = dict[str, Any]


def check_request(fields: _Object) -> None:
    """Check a whole request.

    Raises:
        MalformedRequest: With the field at fault.
    """
    _check_model(fields.get("model"))
    _check_messages(fields.get("messages"))
    for name, check in _FIELD_CHECKS.items():
        value = fields.get(name)
        if value is not None:
            check(value, name)


def _check_model(model: object) -> None:
    if model is None:
        raise MalformedRequest("'model' is missing.", param="model")
    if not isinstance(model, str):
        raise _wrong("model", "a string")
    if not model:
        raise MalformedRequest("'model' must not be empty.", param="model")
    if len(model) > MAX_MODEL_CHARACTERS:
        raise MalformedRequest(
            f"'model' must have at most {MAX_MODEL_CHARACTERS} characters.", param="model"
        )


def _check_messages(messages: object) -> None:
    if messages is None:
        raise MalformedRequest("'messages' is missing.", param="messages")
    if not isinstance(messages, list):
        raise _wrong("messages", "a list")
    if not messages:
        raise MalformedRequest("'messages' must hold at least one message.", param="messages")
    for index, message in enumerate(messages):
        _check_message(message, f"messages[{index}]")


def _check_message(message: object, where: str) -> None:
    if not isinstance(message, dict):
        raise _wrong(where, "an object")
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise MalformedRequest(
            f"'{where}.role' must be one of {', '.join(sorted(ROLES))}.", param=f"{where}.role"
        )
    content = message.get("content")
    # Only an answer may be without text: it can be all tool calls.
    if content is not None or role != "assistant":
        _check_content(content, f"{where}.content")
    if role == "tool":
        _check_string(message.get("tool_call_id"), f"{where}.tool_call_id")
    for name, check in _MESSAGE_CHECKS.items():
        value = message.get(name)
        if value is not None:
            check(value, f"{where}.{name}")


def _check_content(content: object, where: str) -> None:
    if content is None:
        raise MalformedRequest(f"'{where}' is missing.", param=where)
    if isinstance(content, list):
        for index, part in enumerate(content):
            _check_part(part, f"{where}[{index}]")
    elif not isinstance(content, str):
        raise _wrong(where, "a string or a list of parts")


def _check_part(part: object, where: str) -> None:
    if not isinstance(part, dict):
        raise _wrong(where, "an object")
    kind = part.get("type")
    if kind == "text":
        _check_string(part.get("text"), f"{where}.text")
    elif kind == "image_url":
        image = _object(part.get("image_url"), f"{where}.image_url")
        _check_string(image.get("url"), f"{where}.image_url.url")
    elif kind in ("input_audio", "file"):
        _object(part.get(kind), f"{where}.{kind}")
    elif not isinstance(kind, str):
        raise _wrong(f"{where}.type", "a string")


def _check_tool_calls(calls: object, where: str) -> None:
    if not isinstance(calls, list):
        raise _wrong(where, "a list")
    for index, call in enumerate(calls):
        at = f"{where}[{index}]"
        call_object = _object(call, at)
        _check_string(call_object.get("id"), f"{at}.id")
        if call_object.get("type", "function") == "function":
            function = _object(call_object.get("function"), f"{at}.function")
            _check_string(function.get("name"), f"{at}.function.name")
            _check_string(function.get("arguments"), f"{at}.function.arguments")


def _check_objects(values: object, where: str) -> None:
    if not isinstance(values, list):
        raise _wrong(where, "a list")
    for index, value in enumerate(values):
        _object(value, f"{where}[{index}]")


def _check_tools(tools: object, where: str) -> None:
    if not isinstance(tools, list):
        raise _wrong(where, "a list")
    for index, tool in enumerate(tools):
        at = f"{where}[{index}]"
        tool_object = _object(tool, at)
        kind = tool_object.get("type")
        _check_string(kind, f"{at}.type")
        if kind == "function":
            _check_function(tool_object.get("function"), f"{at}.function")


def _check_functions(functions: object, where: str) -> None:
    if not isinstance(functions, list):
        raise _wrong(where, "a list")
    for index, function in enumerate(functions):
        _check_function(function, f"{where}[{index}]")


def _check_function(function: object, where: str) -> None:
    function_object = _object(function, where)
    _check_string(function_object.get("name"), f"{where}.name")
    if not function_object["name"]:
        raise MalformedRequest(f"'{where}.name' must not be empty.", param=f"{where}.name")
    parameters = function_object.get("parameters")
    if parameters is not None:
        _object(parameters, f"{where}.parameters")
    description = function_object.get("description")
    if description is not None:
        _check_string(description, f"{where}.description")


def _check_tool_choice(choice: object, where: str) -> None:
    if not isinstance(choice, str | dict):
        raise _wrong(where, "a string or an object")


def _check_response_format(format_: object, where: str) -> None:
    kind = _object(format_, where).get("type")
    if not isinstance(kind, str) or kind not in RESPONSE_FORMATS:
        raise MalformedRequest(
            f"'{where}.type' must be one of {', '.join(sorted(RESPONSE_FORMATS))}.",
            param=f"{where}.type",
        )
    if kind == "json_schema":
        described = _object(_object(format_, where).get("json_schema"), f"{where}.json_schema")
        if described.get("schema") is not None:
            _object(described["schema"], f"{where}.json_schema.schema")


def _check_output_tokens(value: object, where: str) -> None:
    _check_whole(value, where, most=MAX_OUTPUT_TOKENS)


def _check_choices(value: object, where: str) -> None:
    _check_whole(value, where, most=MAX_CHOICES)


def _check_whole(value: object, where: str, *, most: int) -> None:
    # `True` is an int in Python and not in JSON.
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise MalformedRequest(f"'{where}' must be a whole number from 1 to {most}.", param=where)


def _check_number(value: object, where: str) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _wrong(where, "a number")


def _check_bool(value: object, where: str) -> None:
    if not isinstance(value, bool):
        raise _wrong(where, "true or false")


def _check_string(value: object, where: str) -> None:
    if not isinstance(value, str):
        raise _wrong(where, "a string")


def _check_stop(value: object, where: str) -> None:
    if isinstance(value, list):
        for index, item in enumerate(value):
            _check_string(item, f"{where}[{index}]")
    elif not isinstance(value, str):
        raise _wrong(where, "a string or a list of strings")


def _check_stream_options(value: object, where: str) -> None:
    wanted = _object(value, where).get("include_usage")
    if wanted is not None:
        _check_bool(wanted, f"{where}.include_usage")


def _check_object(value: object, where: str) -> None:
    _object(value, where)


def _object(value: object, where: str) -> _Object:
    if not isinstance(value, dict):
        raise _wrong(where, "an object")
    return value


def _wrong(where: str, wanted: str) -> MalformedRequest:
    return MalformedRequest(f"'{where}' must be {wanted}.", param=where)


# A field that is null counts as absent, as at OpenAI.
_MESSAGE_CHECKS: Mapping[str, Callable[[object, str], None]] = {
    "refusal": _check_string,
    "tool_calls": _check_tool_calls,
    "thinking_blocks": _check_objects,
}
_FIELD_CHECKS: Mapping[str, Callable[[object, str], None]] = {
    "stream": _check_bool,
    "stream_options": _check_stream_options,
    "max_tokens": _check_output_tokens,
    "max_completion_tokens": _check_output_tokens,
    "n": _check_choices,
    "tools": _check_tools,
    "tool_choice": _check_tool_choice,
    "parallel_tool_calls": _check_bool,
    "functions": _check_functions,
    "response_format": _check_response_format,
    "stop": _check_stop,
    "temperature": _check_number,
    "top_p": _check_number,
    "user": _check_string,
    "safety_identifier": _check_string,
    "reasoning_effort": _check_string,
    "metadata": _check_object,
}
