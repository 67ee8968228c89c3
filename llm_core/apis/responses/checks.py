"""What must hold for a request to the Responses API, member by member.

Source:
    https://platform.openai.com/docs/api-reference/responses/create (checked 2026-11-20)
"""

from collections.abc import Callable, Mapping
from typing import Any

from llm_core.chat.checks import MAX_MODEL_CHARACTERS, MAX_OUTPUT_TOKENS
from llm_core.errors import MalformedRequest

_Object = dict[str, Any]
_MOST_LOGPROBS = 20
_FORMATS = ("text", "json_object", "json_schema")


def check_fields(fields: Mapping[str, Any]) -> None:
    """Check everything but `input` and the tools, which are checked where they are read.

    Raises:
        MalformedRequest: With the field at fault.
    """
    model = a_text(fields.get("model"), "model")
    if not 0 < len(model) <= MAX_MODEL_CHARACTERS:
        raise MalformedRequest(
            f"'model' must have from 1 to {MAX_MODEL_CHARACTERS} characters.", param="model"
        )
    for name, check in _CHECKS.items():
        value = fields.get(name)
        if value is not None:
            check(value, name)


def a_text(value: object, where: str) -> str:
    """Take a string.

    Raises:
        MalformedRequest: It is missing, or something else.
    """
    if isinstance(value, str):
        return value
    raise wrong(value, where, "a string")


def an_object(value: object, where: str) -> _Object:
    """Take an object.

    Raises:
        MalformedRequest: It is missing, or something else.
    """
    if isinstance(value, dict):
        return value
    raise wrong(value, where, "an object")


def a_list(value: object, where: str) -> list[Any]:
    """Take a list.

    Raises:
        MalformedRequest: It is missing, or something else.
    """
    if isinstance(value, list):
        return value
    raise wrong(value, where, "a list")


def wrong(value: object, where: str, wanted: str) -> MalformedRequest:
    """The error for a value of the wrong type."""
    if value is None:
        return MalformedRequest(f"'{where}' is missing.", param=where)
    return MalformedRequest(f"'{where}' must be {wanted}.", param=where)


def not_one_of(where: str, known: tuple[str, ...]) -> MalformedRequest:
    """The error for a word that the API does not know."""
    return MalformedRequest(f"'{where}' must be one of {', '.join(known)}.", param=where)


def _check_bool(value: object, where: str) -> None:
    if not isinstance(value, bool):
        raise wrong(value, where, "true or false")


def _check_number(value: object, where: str) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise wrong(value, where, "a number")


def _check_length(value: object, where: str) -> None:
    if not _is_whole(value, 1, MAX_OUTPUT_TOKENS):
        raise wrong(value, where, f"a whole number from 1 to {MAX_OUTPUT_TOKENS}")


def _check_logprobs(value: object, where: str) -> None:
    if not _is_whole(value, 0, _MOST_LOGPROBS):
        raise wrong(value, where, f"a whole number from 0 to {_MOST_LOGPROBS}")


def _is_whole(value: object, least: int, most: int) -> bool:
    # `True` is an int in Python and not in JSON.
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _check_truncation(value: object, where: str) -> None:
    if value not in ("auto", "disabled"):
        raise not_one_of(where, ("auto", "disabled"))


def _check_include(value: object, where: str) -> None:
    for index, wanted in enumerate(a_list(value, where)):
        a_text(wanted, f"{where}[{index}]")


def _check_text(value: object, where: str) -> None:
    text = an_object(value, where)
    if text.get("verbosity") is not None:
        a_text(text["verbosity"], f"{where}.verbosity")
    if text.get("format") is None:
        return
    where = f"{where}.format"
    format_ = an_object(text["format"], where)
    if format_.get("type") not in _FORMATS:
        raise not_one_of(f"{where}.type", _FORMATS)
    if format_["type"] == "json_schema":
        a_text(format_.get("name"), f"{where}.name")
        an_object(format_.get("schema"), f"{where}.schema")


def _check_reasoning(value: object, where: str) -> None:
    reasoning = an_object(value, where)
    for name in ("effort", "summary", "generate_summary"):
        if reasoning.get(name) is not None:
            a_text(reasoning[name], f"{where}.{name}")


# A field that is null counts as absent, as at OpenAI.
_CHECKS: Mapping[str, Callable[[Any, str], object]] = {
    "instructions": a_text,
    "stream": _check_bool,
    "stream_options": an_object,
    "store": _check_bool,
    "background": _check_bool,
    "max_output_tokens": _check_length,
    "temperature": _check_number,
    "top_p": _check_number,
    "top_logprobs": _check_logprobs,
    "include": _check_include,
    "parallel_tool_calls": _check_bool,
    "metadata": an_object,
    "user": a_text,
    "safety_identifier": a_text,
    "prompt_cache_key": a_text,
    "truncation": _check_truncation,
    "text": _check_text,
    "reasoning": _check_reasoning,
}
