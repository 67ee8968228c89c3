"""`kong.client`: who is calling."""

from collections.abc import Mapping
from typing import Any

from devkong.context import Context
from devkong.errors import LuaError
from devkong.lua import lua_value
from devkong.pdk.registry import ANYWHERE, BEFORE_LOG, ONLY_ACCESS, pdk


@pdk("kong.client.get_ip", BEFORE_LOG)
@pdk("kong.client.get_forwarded_ip", BEFORE_LOG)
def _ip(context: Context) -> str:
    return context.request.client_ip


@pdk("kong.client.get_port", BEFORE_LOG)
@pdk("kong.client.get_forwarded_port", BEFORE_LOG)
def _port(context: Context) -> int:
    return context.request.client_port


@pdk("kong.client.get_consumer", ANYWHERE)
def _consumer(context: Context) -> Mapping[str, Any] | None:
    return context.consumer_record


@pdk("kong.client.get_credential", ANYWHERE)
def _credential(context: Context) -> Mapping[str, Any] | None:
    return context.credential_record


@pdk("kong.client.authenticate", ONLY_ACCESS)
def _authenticate(context: Context, consumer: object = None, credential: object = None) -> None:
    for value, what in ((consumer, "consumer"), (credential, "credential")):
        if not isinstance(value, dict | list | None):
            raise LuaError(f"{what} must be a table or nil")
    if consumer is None and credential is None:
        raise LuaError("either credential or consumer must be provided")
    context.consumer_record = lua_value(consumer)
    context.credential_record = lua_value(credential)


@pdk("kong.client.get_protocol", BEFORE_LOG)
def _protocol(context: Context) -> str | None:
    protocols = context.route.protocols if context.route else ()
    return protocols[0] if len(protocols) == 1 else "http"
