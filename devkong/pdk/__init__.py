"""Kong's side of the PDK: the methods a plugin may call, by their full names."""

from typing import Any

from devkong.context import Context
from devkong.pdk import client, log, misc, request, response, service  # noqa: F401 - fill METHODS
from devkong.pdk.registry import METHODS
from devkong.plugin_server import UnknownMethod

__all__ = ["METHODS", "call"]


def call(context: Context, method: str, args: list[Any]) -> Any:  # noqa: ANN401 - a Lua value
    """Answer a plugin's call.

    Raises:
        UnknownMethod: There is no such method.
        LuaError: Wrong phase or wrong arguments.
        ResponseExit: The plugin ended the phase with a response.
    """
    known = METHODS.get(method)
    if known is None:
        raise UnknownMethod(method)
    return known.call(context, args)
