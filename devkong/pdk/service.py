"""`kong.service`, `.request` and `.response`: where the request goes, and what came back."""

from typing import Any
from urllib.parse import quote

from devkong.context import BUFFERED, Context
from devkong.errors import LuaError
from devkong.headers import Headers, header_values, text
from devkong.pdk.registry import (
    AFTER_UPSTREAM,
    ONLY_ACCESS,
    header_map,
    header_value,
    integer,
    max_count,
    pdk,
    string,
)

_METHODS = {
    "GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "MKCOL", "COPY", "MOVE", "PROPFIND",
    "PROPPATCH", "LOCK", "UNLOCK", "PATCH", "TRACE",
}  # fmt: skip
_MAX_PORT = 65535
_MAX_TIMEOUT_MS = 2147483646
# Kong escapes what may not stand in a URI and leaves all of its punctuation, and %XX, alone.
_PATH_SAFE = "/%-._~!$&'()*+,;=:@?#[]"


@pdk("kong.service.set_target", ONLY_ACCESS)
def _set_target(context: Context, host: object = None, port: object = None) -> None:
    name = string(host, "host")
    context.target.port = integer(port, "port", 0, _MAX_PORT)
    context.target.host = name
    context.target.host_header = name


@pdk("kong.service.set_retries", ONLY_ACCESS)
def _set_retries(context: Context, retries: object = None) -> None:
    context.target.retries = integer(retries, "retries", 0, 32767)


@pdk("kong.service.set_timeouts", ONLY_ACCESS)
def _set_timeouts(
    context: Context, connect: object = None, write: object = None, read: object = None
) -> None:
    target = context.target
    target.connect_timeout_s = integer(connect, "connect_timeout", 1, _MAX_TIMEOUT_MS) / 1000
    integer(write, "write_timeout", 1, _MAX_TIMEOUT_MS)
    target.read_timeout_s = integer(read, "read_timeout", 1, _MAX_TIMEOUT_MS) / 1000


@pdk("kong.service.request.enable_buffering", ONLY_ACCESS)
def _enable_buffering(context: Context) -> None:
    context.ngx_ctx[BUFFERED] = True


@pdk("kong.service.request.set_scheme", ONLY_ACCESS)
def _set_scheme(context: Context, scheme: object = None) -> None:
    name = string(scheme, "scheme")
    if name not in ("http", "https"):
        raise LuaError(f"invalid scheme: {name}")
    context.target.scheme = name


@pdk("kong.service.request.set_method", ONLY_ACCESS)
def _set_method(context: Context, method: object = None) -> None:
    name = string(method, "method")
    if name not in _METHODS:
        raise LuaError(f"invalid method: {name}")
    context.request.method = name


@pdk("kong.service.request.set_path", ONLY_ACCESS)
def _set_path(context: Context, path: object = None) -> None:
    name = string(path, "path")
    if not name.startswith("/"):
        raise LuaError("path must start with /")
    context.target.path = quote(name, safe=_PATH_SAFE, errors="surrogateescape")


@pdk("kong.service.request.set_raw_query", ONLY_ACCESS)
def _set_raw_query(context: Context, query: object = None) -> None:
    context.request.query = string(query, "query")


@pdk("kong.service.request.set_header", ONLY_ACCESS)
def _set_header(context: Context, name: object = None, value: object = None) -> None:
    _replace(context, string(name, "header"), header_value(name, value))


@pdk("kong.service.request.add_header", ONLY_ACCESS)
def _add_header(context: Context, name: object = None, value: object = None) -> None:
    header = string(name, "header")
    for item in header_values(header_value(name, value)):
        context.request.headers.add(header, item)
    if header.lower() == "host":
        context.target.host_header = text(value)


@pdk("kong.service.request.set_headers", ONLY_ACCESS)
def _set_headers(context: Context, headers: object = None) -> None:
    for name, value in header_map(headers).items():
        _replace(context, name, value)


@pdk("kong.service.request.clear_header", ONLY_ACCESS)
def _clear_header(context: Context, name: object = None) -> None:
    context.request.headers.remove(string(name, "header"))


@pdk("kong.service.request.set_raw_body", ONLY_ACCESS)
def _set_raw_body(context: Context, body: object = None) -> None:
    if not isinstance(body, str | bytes):
        raise LuaError("body must be a string")
    encoded = body.encode("utf-8", "surrogateescape") if isinstance(body, str) else body
    context.request.body = encoded
    context.request.is_spooled = False
    context.request.headers.replace("content-length", [str(len(encoded))])


@pdk("kong.service.response.get_status", AFTER_UPSTREAM)
def _get_status(context: Context) -> int | None:
    return context.upstream_status


@pdk("kong.service.response.get_header", AFTER_UPSTREAM)
def _get_header(context: Context, name: object = None) -> str | None:
    return (context.upstream_headers or Headers()).first(string(name, "name"))


@pdk("kong.service.response.get_headers", AFTER_UPSTREAM)
def _get_headers(context: Context, max_headers: object = None) -> dict[str, list[str]]:
    """Nothing, when the answer was buffered.

    Kong hands out a proxy table then, which answers lookups but cannot be iterated, and so
    arrives empty at an external plugin (github.com/Kong/go-pdk/issues/222). Use
    `kong.response.get_headers` or `kong.service.response.get_header`.
    """
    limit = max_count(max_headers, "max_headers")
    if context.upstream_body is not None or context.upstream_headers is None:
        return {}
    return context.upstream_headers.as_map(limit)


@pdk("kong.service.response.get_raw_body", AFTER_UPSTREAM)
def _get_raw_body(context: Context) -> bytes:
    if not context.is_buffered:
        raise LuaError("service body is only available with buffered proxying")
    return context.upstream_body or b""


def _replace(context: Context, name: str, value: Any) -> None:  # noqa: ANN401 - checked
    context.request.headers.replace(name, header_values(value))
    if name.lower() == "host":
        context.target.host_header = header_values(value)[0]
