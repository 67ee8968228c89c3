"""`kong.request`: what the client sent, with what plugins have changed since."""

from typing import Any

from devkong.context import Context
from devkong.errors import LuaError
from devkong.pdk.registry import ANYWHERE, BEFORE_LOG, max_count, pdk, string
from devkong.query import query_values
from devkong.routing import normalized

MultiMap = dict[str, list[Any]]


@pdk("kong.request.get_scheme", BEFORE_LOG)
def _scheme(_: Context) -> str:
    return "http"


@pdk("kong.request.get_host", BEFORE_LOG)
def _host(context: Context) -> str:
    return context.request.host


@pdk("kong.request.get_port", BEFORE_LOG)
def _port(context: Context) -> int:
    return context.request.server_port


@pdk("kong.request.get_forwarded_scheme", BEFORE_LOG)
def _forwarded_scheme(_: Context) -> str:
    return "http"


@pdk("kong.request.get_forwarded_host", BEFORE_LOG)
def _forwarded_host(context: Context) -> str:
    return context.request.host


@pdk("kong.request.get_forwarded_port", BEFORE_LOG)
def _forwarded_port(context: Context) -> int:
    return context.request.server_port


@pdk("kong.request.get_http_version", BEFORE_LOG)
def _http_version(context: Context) -> float | int:
    version = float(context.request.http_version)
    return int(version) if version.is_integer() else version


@pdk("kong.request.get_method", BEFORE_LOG)
def _method(context: Context) -> str:
    return context.request.method


@pdk("kong.request.get_path", BEFORE_LOG)
def _path(context: Context) -> str:
    return normalized(context.request.path)


@pdk("kong.request.get_raw_path", BEFORE_LOG)
def _raw_path(context: Context) -> str:
    return context.request.path


@pdk("kong.request.get_path_with_query", BEFORE_LOG)
def _path_with_query(context: Context) -> str:
    return context.request.uri


@pdk("kong.request.get_raw_query", BEFORE_LOG)
def _raw_query(context: Context) -> str:
    return context.request.query


@pdk("kong.request.get_query", BEFORE_LOG)
def _query(context: Context, max_args: object = None) -> MultiMap:
    # A flag without a value is `true` in Lua and an empty list on the wire (mp_rpc.lua, fix_mmap).
    values = query_values(context.request.query, max_count(max_args, "max_args"))
    return {name: [] if items == [True] else items for name, items in values.items()}


@pdk("kong.request.get_query_arg", BEFORE_LOG)
def _query_arg(context: Context, name: object = None) -> str | bool | None:
    values = query_values(context.request.query).get(string(name, "query argument name"))
    return values[0] if values else None


@pdk("kong.request.get_header", ANYWHERE)
def _header(context: Context, name: object = None) -> str | None:
    return context.request.headers.first(string(name, "header name"))


@pdk("kong.request.get_headers", ANYWHERE)
def _headers(context: Context, max_headers: object = None) -> MultiMap:
    return context.request.headers.as_map(max_count(max_headers, "max_headers"))


@pdk("kong.request.get_raw_body", BEFORE_LOG)
def _raw_body(context: Context, max_allowed_file_size: object = None) -> bytes:
    """The body; one "on disk" needs a limit, and has to keep it.

    Kong's function answers nil then, and its MessagePack side cannot pack that: the client gets
    a 500, the plugin hears nothing.
    """
    request = context.request
    if not request.is_spooled:
        return request.body
    limit = max_allowed_file_size
    if not isinstance(limit, int | float) or limit < 0:
        raise LuaError(
            "request body did not fit into client body buffer, "
            "consider raising 'client_body_buffer_size'"
        )
    if 0 < limit < len(request.body):
        raise LuaError(f"request body file too big: {len(request.body)} > {limit}")
    return request.body


@pdk("kong.request.get_start_time", ANYWHERE)
def _start_time(context: Context) -> int:
    return round(context.started_at * 1000)


@pdk("kong.request.get_uri_captures", ANYWHERE)
def _uri_captures(context: Context) -> dict[str, Any]:
    return context.match.captures() if context.match else {"named": [], "unnamed": []}
