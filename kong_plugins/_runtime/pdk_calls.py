"""What `kong` is to a plugin: a path of names that becomes a PDK call when it is called.

`kong.request.get_header("x")` is the call `kong.request.get_header` with one argument. The call is
on its way as soon as it is made; what it gives is awaited. `exit` and `error` end the phase at
once, awaited or not, so that a forgotten `await` cannot let a request through.
"""

import json
from asyncio import Future
from collections.abc import Callable, Mapping
from typing import Any

from kong_pdk.exception import PDKException

from llm_core.nesting import is_too_deep

Dispatch = Callable[[str, list[Any]], "Future[Any]"]
"""Takes a PDK method and its arguments; gives the answer to come."""

_NAMED_PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "kong.response.exit": ("status", "body", "headers"),
    "kong.response.error": ("status", "message", "headers"),
}
ENDING_CALLS = frozenset(_NAMED_PARAMETERS)
"""Calls after which Kong never comes back."""


class PdkPath:
    """A name within the PDK.

    kong-pdk's `FakeClasses` does the same, but takes no arguments by name and turns `str(kong)` and
    every private name into a call.
    """

    __slots__ = ("_dispatch", "_path")

    def __init__(self, path: str, dispatch: Dispatch) -> None:
        self._path = path
        self._dispatch = dispatch

    def __getattr__(self, name: str) -> "PdkPath":
        if name.startswith("_"):
            raise AttributeError(name)
        return PdkPath(f"{self._path}.{name}", self._dispatch)

    def __call__(self, *args: object, **named: object) -> "Future[Any]":
        return self._dispatch(self._path, arguments(self._path, args, named))

    def __repr__(self) -> str:
        return f"<PDK {self._path}>"


def arguments(method: str, args: tuple[object, ...], named: Mapping[str, object]) -> list[Any]:
    """Put a call's arguments into the order and form in which Lua can take them.

    Lua's `unpack` stops at the first `nil`, so `None` at the end is left out, and an `exit` with
    headers but no body gets an empty body: with `nil` there the headers would be lost.
    """
    ordered: list[Any] = list(args)
    if named:
        parameters = _NAMED_PARAMETERS.get(method, ())
        unknown = set(named).difference(parameters[len(ordered) :])
        if unknown:
            raise TypeError(f"{method} takes no {', '.join(sorted(unknown))} by name")
        ordered.extend(named.get(name) for name in parameters[len(ordered) :])
    while ordered and ordered[-1] is None:
        ordered.pop()
    if method in ENDING_CALLS and len(ordered) > 2 and ordered[1] is None:  # noqa: PLR2004
        ordered[1] = ""
    if method == "kong.log" or method.startswith("kong.log."):
        ordered = [a if isinstance(a, str | int | list | dict) else str(a) for a in ordered]
    return ordered


def result(method: str, value: Any) -> Any:  # noqa: ANN401 - whatever Kong answers
    """Give Kong's answer the type that `pdk.py` promises.

    Raises:
        PDKException: The answer does not have it.
    """
    if method.endswith(".get_raw_body"):
        if isinstance(value, str):  # Kong sends `bin`; a stand-in may send `str`
            return value.encode("utf-8", "surrogateescape")
        if value is None:
            raise PDKException(f"{method} gave nothing")
    elif method == "kong.log.serialize" and isinstance(value, str):
        if is_too_deep(value):
            raise PDKException(f"{method} gave something that is nested too deeply")
        try:  # Kong encodes this one as JSON text for plugins of its own kind
            return json.loads(value)
        except (ValueError, RecursionError):
            raise PDKException(f"{method} gave something that is not JSON") from None
    return value
