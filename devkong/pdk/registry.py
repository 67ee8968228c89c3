"""The table of PDK methods, and the rules that hold for all of them."""

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from devkong.context import ACCESS, LOG, RESPONSE, Context
from devkong.errors import LuaError

Function = Callable[..., Any]

ANYWHERE = frozenset({ACCESS, RESPONSE, LOG})
BEFORE_LOG = frozenset({ACCESS, RESPONSE})
"""What reads nginx variables: `log` runs in a timer, where there is no request any more."""
ONLY_ACCESS = frozenset({ACCESS})
AFTER_UPSTREAM = frozenset({RESPONSE, LOG})
ONLY_RESPONSE = frozenset({RESPONSE})
ONLY_LOG = frozenset({LOG})


@dataclass(frozen=True, slots=True)
class Method:
    """One PDK method."""

    name: str
    function: Function
    arity: int
    phases: frozenset[str]

    def call(self, context: Context, args: list[Any]) -> Any:  # noqa: ANN401 - a Lua value
        """Call it as Lua would: surplus arguments are dropped, missing ones are nil.

        Raises:
            LuaError: Wrong phase or wrong arguments.
            ResponseExit: The method ended the phase.
        """
        if context.phase not in self.phases:
            raise LuaError(f"{self.name}: function cannot be called in {context.phase} phase")
        return self.function(context, *args[: self.arity])


METHODS: dict[str, Method] = {}


def pdk(name: str, phases: frozenset[str]) -> Callable[[Function], Function]:
    """Enter a function into the table; its first parameter is the request's context."""

    def enter(function: Function) -> Function:
        parameters = list(inspect.signature(function).parameters.values())
        is_variadic = parameters[-1].kind is inspect.Parameter.VAR_POSITIONAL
        arity = sys.maxsize if is_variadic else len(parameters) - 1
        METHODS[name] = Method(name, function, arity, phases)
        return function

    return enter


def string(value: object, what: str) -> str:
    """A Lua string argument as text.

    Raises:
        LuaError: It is none.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    raise LuaError(f"{what} must be a string")


def integer(value: object, what: str, low: int, high: int) -> int:
    """A whole number within bounds.

    Raises:
        LuaError: It is none, or out of bounds.
    """
    if not isinstance(value, int | float) or isinstance(value, bool) or value % 1:
        raise LuaError(f"{what} must be an integer")
    whole = int(value)
    if not low <= whole <= high:
        raise LuaError(f"{what} must be an integer between {low} and {high}: given {whole}")
    return whole


def max_count(value: object, what: str) -> int:
    """The optional limit of headers or arguments: 1 to 1000, 100 by default."""
    return 100 if value is None else integer(value, what, 1, 1000)


def header_map(value: object) -> dict[str, Any]:
    """A table of headers, checked as Kong does.

    Raises:
        LuaError: A name is no string, or a value is neither a scalar nor a list of strings.
    """
    if value == []:  # an empty Lua table
        return {}
    if not isinstance(value, dict):
        raise LuaError("headers must be a table")
    for name, item in value.items():
        header_value(name, item)
    return {string(name, "header name"): item for name, item in value.items()}


def header_value(name: object, value: object) -> object:
    """One header value, checked as Kong does.

    Raises:
        LuaError: As for `header_map`.
    """
    if not isinstance(name, str | bytes):
        raise LuaError(f"invalid header name {name!r}: expected string")
    items = value if isinstance(value, list) else [value]
    allowed = (str, bytes) if isinstance(value, list) else (str, bytes, int, float, bool)
    if not all(isinstance(item, allowed) for item in items):
        raise LuaError(f"invalid header value for {name!r}: expected string, number or boolean")
    return value
