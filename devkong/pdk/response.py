"""`kong.response`: what the client will get."""

import json
from typing import Any

from devkong.context import Context
from devkong.errors import LuaError, ResponseExit
from devkong.headers import header_values
from devkong.lua import lua_value
from devkong.pdk.registry import (
    AFTER_UPSTREAM,
    BEFORE_LOG,
    header_map,
    header_value,
    integer,
    max_count,
    pdk,
    string,
)

_MIN_STATUS, _MAX_STATUS, _MIN_ERROR_STATUS = 100, 599, 400
JSON_TYPE = "application/json; charset=utf-8"

_MESSAGES = {
    400: "Bad request", 401: "Unauthorized", 403: "Forbidden", 404: "Not found",
    405: "Method not allowed", 408: "Request timeout", 411: "Length required",
    413: "Payload too large", 414: "URI too long", 417: "Expectation failed",
    429: "Too many requests", 494: "Request header or cookie too large",
    500: "An unexpected error occurred",
    502: "An invalid response was received from the upstream server",
    503: "The upstream server is currently unavailable",
    504: "The upstream server is timing out",
}  # fmt: skip


def error_body(status: int, request_id: str, message: str | None = None) -> bytes:
    """Kong's own error answer, in JSON."""
    words = message or _MESSAGES.get(status, f"The upstream server responded with {status}")
    body = f'{{\n  "message":{json.dumps(words)},\n  "request_id":"{request_id}"\n}}'
    return body.encode()


@pdk("kong.response.get_status", AFTER_UPSTREAM)
def _get_status(context: Context) -> int:
    return context.status


@pdk("kong.response.get_header", AFTER_UPSTREAM)
def _get_header(context: Context, name: object = None) -> str | None:
    return context.headers.first(string(name, "header name"))


@pdk("kong.response.get_headers", AFTER_UPSTREAM)
def _get_headers(context: Context, max_headers: object = None) -> dict[str, list[str]]:
    return context.headers.as_map(max_count(max_headers, "max_headers"))


@pdk("kong.response.get_source", AFTER_UPSTREAM)
def _get_source(context: Context) -> str:
    return context.source


@pdk("kong.response.set_status", BEFORE_LOG)
def _set_status(context: Context, status: object = None) -> None:
    context.status = integer(status, "code", _MIN_STATUS, _MAX_STATUS)


@pdk("kong.response.set_header", BEFORE_LOG)
def _set_header(context: Context, name: object = None, value: object = None) -> None:
    _replace(context, string(name, "header name"), header_value(name, value))


@pdk("kong.response.add_header", BEFORE_LOG)
def _add_header(context: Context, name: object = None, value: object = None) -> None:
    for item in header_values(header_value(name, value)):
        context.headers.add(string(name, "header name"), item)


@pdk("kong.response.set_headers", BEFORE_LOG)
def _set_headers(context: Context, headers: object = None) -> None:
    for name, value in header_map(headers).items():
        _replace(context, name, value)


@pdk("kong.response.clear_header", BEFORE_LOG)
def _clear_header(context: Context, name: object = None) -> None:
    context.headers.remove(string(name, "header name"))


@pdk("kong.response.exit", BEFORE_LOG)
def _exit(_: Context, status: object = None, body: object = None, headers: object = None) -> None:
    code = integer(status, "code", _MIN_STATUS, _MAX_STATUS)
    if not isinstance(body, str | bytes | dict | list | None):
        raise LuaError("body must be a nil, string or table")
    given = header_map(headers) if headers is not None else {}
    values = {name: header_values(value) for name, value in given.items()}
    if isinstance(body, dict | list):
        values.setdefault("Content-Type", [JSON_TYPE])
    raise ResponseExit(code, _encoded(body), values)


@pdk("kong.response.error", BEFORE_LOG)
def _error(
    context: Context, status: object = None, message: object = None, headers: object = None
) -> None:
    code = integer(status, "code", _MIN_ERROR_STATUS, _MAX_STATUS)
    given = header_map(headers) if headers is not None else {}
    values = {name: header_values(value) for name, value in given.items()}
    values["Content-Type"] = [JSON_TYPE]
    words = json.dumps(lua_value(message)) if isinstance(message, dict | list) else message
    body = error_body(code, context.request_id, string(words, "message") if words else None)
    raise ResponseExit(code, body, values)


def _encoded(body: Any) -> bytes:  # noqa: ANN401 - checked by the caller
    if body is None:
        return b""
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode("utf-8", "surrogateescape")
    # Lua cannot tell an empty list from an empty map, and its JSON encoder writes the map.
    value = lua_value(body)
    return b"{}" if value == [] else json.dumps(value, separators=(",", ":")).encode()


def _replace(context: Context, name: str, value: Any) -> None:  # noqa: ANN401 - checked
    if name.lower().replace("_", "-") != "transfer-encoding":  # Kong ignores it, with a warning
        context.headers.replace(name, header_values(value))
