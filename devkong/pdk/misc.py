"""`kong.ctx`, `kong.nginx`, `kong.router`, `kong.node` and `kong.plugin`."""

import socket
import uuid
from typing import Any

from devkong.context import Context
from devkong.errors import LuaError
from devkong.lua import lua_value
from devkong.pdk.registry import ANYWHERE, BEFORE_LOG, pdk

_NODE_ID = str(uuid.uuid4())


@pdk("kong.ctx.shared.get", ANYWHERE)
def _shared_get(context: Context, key: object = None) -> Any:  # noqa: ANN401 - whatever was set
    return context.shared.get(_key(key))


@pdk("kong.ctx.shared.set", ANYWHERE)
def _shared_set(context: Context, key: object = None, value: object = None) -> None:
    _assign(context.shared, key, value)


@pdk("kong.nginx.get_ctx", ANYWHERE)
def _get_ctx(context: Context, key: object = None) -> Any:  # noqa: ANN401 - whatever was set
    return context.ngx_ctx.get(_key(key))


@pdk("kong.nginx.set_ctx", ANYWHERE)
def _set_ctx(context: Context, key: object = None, value: object = None) -> None:
    _assign(context.ngx_ctx, key, value)


@pdk("kong.nginx.get_subsystem", ANYWHERE)
def _subsystem(_: Context) -> str:
    return "http"


@pdk("kong.nginx.req_start_time", ANYWHERE)
def _req_start_time(context: Context) -> float:
    return round(context.started_at, 3)


@pdk("kong.router.get_route", ANYWHERE)
def _route(context: Context) -> dict[str, Any] | None:
    return context.route.as_record() if context.route else None


@pdk("kong.router.get_service", ANYWHERE)
def _service(context: Context) -> dict[str, Any] | None:
    return context.service.as_record() if context.service else None


@pdk("kong.node.get_id", ANYWHERE)
def _node_id(_: Context) -> str:
    return _NODE_ID


@pdk("kong.node.get_hostname", ANYWHERE)
def _hostname(_: Context) -> str:
    return socket.gethostname()


@pdk("kong.plugin.get_id", BEFORE_LOG)
def _plugin_id(context: Context) -> str | None:
    found: str | None = context.ngx_ctx.get("plugin_id")
    return found


def _assign(table: dict[Any, Any], key: object, value: object) -> None:
    if value is None:
        table.pop(_key(key), None)
    else:
        table[_key(key)] = lua_value(value)


def _key(key: object) -> Any:  # noqa: ANN401 - any Lua key
    if key is None or isinstance(key, dict | list):
        raise LuaError("table index must be a string or a number")
    return lua_value(key)
