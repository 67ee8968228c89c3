"""What must hold for a request to `/v1/messages` before anything is made of it.

Small questions, each with an answer or a `MalformedRequest` that names the field.
"""

from collections.abc import Collection, Mapping
from typing import Any

from llm_core.errors import MalformedRequest, UnsupportedParameter

_Object = dict[str, Any]


def required(fields: Mapping[str, Any], name: str, where: str) -> Any:  # noqa: ANN401 - any JSON
    """A member that must be there."""
    value = fields.get(name)
    if value is None:
        raise MalformedRequest(f"'{where}' is missing.", param=where)
    return value


def an_object(value: object, where: str) -> _Object:
    """A JSON object."""
    if not isinstance(value, dict):
        raise wrong(where, "an object")
    return value


def a_list(value: object, where: str) -> list[Any]:
    """A JSON list."""
    if not isinstance(value, list):
        raise wrong(where, "a list")
    return value


def a_string(value: object, where: str) -> str:
    """A text."""
    if not isinstance(value, str):
        raise wrong(where, "a string")
    return value


def a_name(value: object, where: str) -> str:
    """A text that is not empty."""
    if not a_string(value, where):
        raise MalformedRequest(f"'{where}' must not be empty.", param=where)
    return str(value)


def a_bool(value: object, where: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise wrong(where, "true or false")
    return value


def a_whole_number(value: object, where: str, *, least: int, most: int = 2**31) -> int:
    """A whole number within bounds."""
    # `True` is an int in Python and not in JSON.
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise wrong(where, f"a whole number from {least} to {most}")
    return value


def a_share(value: object, where: str) -> float:
    """A number from 0 to 1."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise wrong(where, "a number from 0 to 1")
    return value


def one_of(value: object, known: Collection[str], where: str) -> str:
    """One of a few words."""
    if not isinstance(value, str) or value not in known:
        raise wrong(where, f"one of {', '.join(sorted(known))}")
    return value


def wrong(where: str, wanted: str) -> MalformedRequest:
    """Make the refusal of a value of the wrong kind."""
    return MalformedRequest(f"'{where}' must be {wanted}.", param=where)


def not_offered(where: str, why: str) -> UnsupportedParameter:
    """Make the refusal of what the gateway lets nobody ask for.

    Args:
        where: The field, in OpenAI's dotted form.
        why: Ends the sentence "The gateway does not offer 'x': ...".
    """
    return UnsupportedParameter(f"The gateway does not offer '{where}': {why}", param=where)
