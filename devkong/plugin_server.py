"""A plugin that lives in a plugin server: its instances and its events.

Failing open is here: whatever goes wrong with a plugin server once an instance is known is logged,
and the request goes on as if the plugin had had nothing to do. Only starting an instance may fail
the request (kong/runloop/plugin_servers/plugin.lua, `get_instance_id`).
"""

import asyncio
import contextlib
import json
import logging
from dataclasses import dataclass
from typing import Any, Protocol

from devkong.errors import LuaError
from devkong.lua import lua_value
from devkong.rpc import RpcFailed, RpcPool

CLAIM_TIMEOUT_S = 10.0
"""How long a request waits for an instance that another request is starting."""

_log = logging.getLogger("devkong.plugin_server")

_STEP_METHODS = {
    "kong.client.get_credential": "plugin.StepCredential",
    "kong.client.load_consumer": "plugin.StepConsumer",
    "kong.client.get_consumer": "plugin.StepConsumer",
    "kong.client.authenticate": "plugin.StepCredential",
    "kong.node.get_memory_stats": "plugin.StepMemoryStats",
    "kong.router.get_route": "plugin.StepRoute",
    "kong.router.get_service": "plugin.StepService",
    "kong.request.get_query": "plugin.StepMultiMap",
    "kong.request.get_headers": "plugin.StepMultiMap",
    "kong.response.get_headers": "plugin.StepMultiMap",
    "kong.service.response.get_headers": "plugin.StepMultiMap",
}


class UnknownMethod(Exception):
    """The plugin called a PDK method that devkong does not have."""


class PdkCall(Protocol):
    """Kong's side of the PDK, for one request and one phase."""

    def __call__(self, method: str, args: list[Any]) -> Any:  # noqa: ANN401 - any Lua value
        """Answer a PDK call.

        Raises:
            UnknownMethod: There is no such method.
            LuaError: The arguments or the phase are wrong: the client gets a 500.
            ResponseExit: The plugin ended the phase with a response.
        """
        ...


@dataclass(slots=True)
class _Instance:
    seq: int
    id: asyncio.Future[int]


class PluginServer:
    """Drives one plugin.

    Args:
        plugin: The plugin's name, as its server calls it.
        socket_path: Where its server listens.
        timeout_s: How long one answer of the server may take.
    """

    def __init__(self, plugin: str, socket_path: str, timeout_s: float) -> None:
        self.plugin = plugin
        self._rpc = RpcPool(socket_path, timeout_s, self._notified)
        self._instances: dict[str, _Instance] = {}
        self._pid: int | None = None

    async def handle_event(self, config: dict[str, Any], phase: str, pdk: PdkCall) -> None:
        """Run one phase of the plugin; a failing plugin server counts as "nothing to do".

        Args:
            config: The configuration, with Kong's own fields (`__plugin_id`, ...).
            phase: `access`, `response` or `log`.
            pdk: Answers the plugin's calls.

        Raises:
            LuaError: The instance could not be started, or a PDK call was wrong.
            ResponseExit: The plugin ended the phase.
        """
        while True:
            try:
                instance_id = await self._instance_id(config)
                await self._bridge(instance_id, phase, pdk)
            except RpcFailed as error:
                if "no plugin instance" in str(error).lower():
                    _log.warning("[%s] %s", self.plugin, error)
                    self._instances.clear()
                    continue
                _log.error("[%s] %s: %s", self.plugin, phase, error)
            return

    def close(self) -> None:
        """Close the connections; the server itself is not ours."""
        self._rpc.close()

    async def _bridge(self, instance_id: int, phase: str, pdk: PdkCall) -> None:
        event = {"InstanceId": instance_id, "EventName": phase}
        step = await self._rpc.call("plugin.HandleEvent", event)
        event_id = _field(step, "EventId")
        while (data := _field(step, "Data")) != "ret":
            method = _field(data, "Method")
            if not isinstance(method, str):
                raise LuaError("the plugin server sent no PDK method")
            args = data.get("Args")
            try:
                result = pdk(method, args if isinstance(args, list) else [args])
            except UnknownMethod:
                # Kong itself only logs this and answers nil; a stand-in that lacks a method
                # should rather be noticed.
                _log.error("[%s] could not find pdk method: %s", self.plugin, method)
                step_method, result = "plugin.StepError", f"could not find pdk method: {method}"
            else:
                step_method = _STEP_METHODS.get(method, "plugin.Step")
            answer = {"EventId": event_id}
            if result is not None:  # a Lua table cannot hold nil: the key is absent then
                answer["Data"] = result
            step = await self._rpc.call(step_method, answer)

    async def _instance_id(self, config: dict[str, Any]) -> int:
        """The id of the running instance for a configuration; starts it at its first use.

        Raises:
            LuaError: It could not be started.
            RpcFailed: Another request kept starting it for too long.
        """
        key, seq = config["__plugin_id"], config["__seq__"]
        known = self._instances.get(key)
        while known is not None and not known.id.done():
            try:
                async with asyncio.timeout(CLAIM_TIMEOUT_S):
                    await asyncio.wait([known.id])
            except TimeoutError:
                self._instances.pop(key, None)
                message = f"Could not claim instance_id for {self.plugin} (key: {key})"
                raise RpcFailed(message) from None
            known = self._instances.get(key)
        if known is not None and known.seq == seq:
            return known.id.result()
        old = known.id.result() if known is not None and not known.id.cancelled() else None
        claim = _Instance(seq, asyncio.get_running_loop().create_future())
        self._instances[key] = claim
        try:
            claim.id.set_result(await self._start_instance(config))
        except BaseException:
            self._instances.pop(key, None)
            claim.id.cancel()
            raise
        if old is not None:
            with contextlib.suppress(RpcFailed):
                await self._rpc.call("plugin.CloseInstance", old)
        return claim.id.result()

    async def _start_instance(self, config: dict[str, Any]) -> int:
        request = {"Name": self.plugin, "Config": json.dumps(config, separators=(",", ":"))}
        try:
            status = await self._rpc.call("plugin.StartInstance", request)
        except RpcFailed as error:
            _log.error("[%s] starting instance: %s", self.plugin, error)
            raise LuaError(f"starting instance of {self.plugin}: {error}") from error
        instance_id = _field(status, "Id")
        if not isinstance(instance_id, int):
            raise LuaError(f"{self.plugin}: StartInstance gave no Id")
        return instance_id

    def _notified(self, label: str, args: Any) -> None:  # noqa: ANN401 - as it came
        if label != "serverPid":
            return
        pid = int(args) if isinstance(args, int | float | str) else None
        if self._pid is not None and pid != self._pid:
            self._instances.clear()
        self._pid = pid


def _field(table: object, name: str) -> Any:  # noqa: ANN401
    if not isinstance(table, dict):
        raise LuaError(f"the plugin server's answer has no {name}")
    return lua_value(table.get(name)) if name == "EventId" else table.get(name)
