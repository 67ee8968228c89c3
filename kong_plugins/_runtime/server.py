"""The plugin server: Kong's requests in, answers out.

Everything here runs on one event loop. A PDK call costs one future and one wake-up of the phase's
task; nothing is created per Step.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from typing import Any, cast

from kong_pdk.module import Module

from kong_plugins._runtime import guard
from kong_plugins._runtime.description import plugin_info
from kong_plugins._runtime.events import Event, EventTable, is_log
from kong_plugins._runtime.faults import told_safely
from kong_plugins._runtime.instances import (
    Instances,
    InvalidConfiguration,
    NoSuchInstance,
    Phase,
    RunningInstance,
)
from kong_plugins._runtime.wire import GarbledMessage, Packer, RequestReader

_STEP_KINDS = (
    "Step", "StepService", "StepConsumer", "StepRoute", "StepPlugin", "StepCredential",
    "StepMemoryStats", "StepMultiMap",
)  # fmt: skip
_CLOSE_WAIT_S = 5.0

_log = logging.getLogger(__name__)


class PluginServer:
    """Serves one plugin to any number of connections."""

    def __init__(
        self, module: Module, *, event_deadline_s: float, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.packer = Packer()
        self.events = EventTable(loop, guard.expire)
        self._module = module
        self._loop = loop
        self._instances = Instances(module, event_deadline_s)
        self._closing: set[asyncio.Task[None]] = set()
        self._methods: dict[str, Callable[[KongConnection, int, list[Any]], object]] = {
            "plugin.HandleEvent": self._handle_event,
            "plugin.StartInstance": self._start_instance,
            "plugin.CloseInstance": self._close_instance,
            "plugin.InstanceStatus": self._instance_status,
            "plugin.GetStatus": self._get_status,
            "plugin.GetPluginInfo": self._get_plugin_info,
            "plugin.StepError": self._step_error,
            **{f"plugin.{kind}": self._step for kind in _STEP_KINDS},
        }

    def dispatch(
        self, connection: "KongConnection", message_id: int, method: str, args: list[Any]
    ) -> None:
        """Carry out one request. Answers it now, or has its event answer it later."""
        handler = self._methods.get(method)
        if handler is None:
            connection.refuse(message_id, f"RPC for {method[:100]} is not supported")
            return
        try:
            result = handler(connection, message_id, args)
        except (NoSuchInstance, InvalidConfiguration, UnknownPhase) as error:
            connection.refuse(message_id, str(error))
        except Exception as fault:  # noqa: BLE001 - Kong goes on without us if we fail here
            _log.error("%s: %s", method, told_safely(fault))
            if handler in (self._handle_event, self._step, self._step_error):
                connection.answer(
                    message_id, {"EventId": 0, "Data": guard.lost_event(was_log=False)}
                )
            else:
                connection.refuse(message_id, f"{method} failed ({type(fault).__name__})")
        else:
            if result is not None:
                connection.answer(message_id, result)

    def connection_lost(self, connection: "KongConnection") -> None:
        """Let go of the events that owe this connection an answer."""
        for event in self.events.all():
            if event.reply is not None and event.reply[0] is connection:
                event.lose()
                self.events.close_if_done(event)

    async def drain(self, timeout_s: float) -> None:
        """Let open events end, answer for the ones that do not, and close every instance."""
        tasks = [event.task for event in self.events.all() if event.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=timeout_s)
        for event in self.events.all():
            self.events.expire(event)
        closing = [self._loop.create_task(instance.close()) for instance in self._instances]
        if pending := closing + list(self._closing):
            await asyncio.wait(pending, timeout=_CLOSE_WAIT_S)

    # --- events -----------------------------------------------------------------------------------

    def _handle_event(self, connection: "KongConnection", message_id: int, args: list[Any]) -> None:
        asked = args[0]
        instance = self._instances.get(asked["InstanceId"])
        phase = instance.phases.get(asked["EventName"])
        if phase is None:
            raise UnknownPhase(asked["EventName"])
        event = self.events.open(asked["EventName"], instance)
        event.begin(connection, message_id)
        event.task = self._loop.create_task(self._run(event, phase))

    async def _run(self, event: Event, phase: Phase) -> None:
        await guard.run_phase(event, phase)
        self.events.close_if_done(event)

    def _step(self, connection: "KongConnection", message_id: int, args: list[Any]) -> object:
        data = args[0]
        event = self.events.get(data["EventId"])
        if event is None:
            return self._lost(data["EventId"])
        event.step(connection, message_id, data.get("Data"))
        if event.has_final_answer:
            self.events.close_if_done(event)
        return None

    def _step_error(self, connection: "KongConnection", message_id: int, args: list[Any]) -> object:
        data = args[0]
        event = self.events.get(data["EventId"])
        if event is None:
            return self._lost(data["EventId"])
        event.step_error(connection, message_id, data.get("Data"))
        if event.has_final_answer:
            self.events.close_if_done(event)
        return None

    def _lost(self, event_id: object) -> object:
        """A Step came after the event's deadline, or is meant for the process before this one.

        An error would make Kong proxy the request; so it is told to refuse it.
        """
        _log.warning("a Step came for an event that is over")
        return {"EventId": event_id, "Data": guard.lost_event(was_log=is_log(event_id))}

    # --- instances --------------------------------------------------------------------------------

    def _start_instance(
        self, connection: "KongConnection", message_id: int, args: list[Any]
    ) -> object:
        instance = self._instances.start(args[0]["Name"], args[0]["Config"])
        for idle in self._instances.take_idle():
            self._close_later(idle)
        return {
            "Name": self._module.name,
            "Id": instance.id,
            "Config": instance.config,
            "StartTime": instance.told["StartTime"],
        }

    def _close_instance(
        self, connection: "KongConnection", message_id: int, args: list[Any]
    ) -> object:
        instance = self._instances.take(args[0])
        self._close_later(instance)
        return {"Name": self._module.name, "Id": instance.id, "Config": instance.config}

    def _close_later(self, instance: RunningInstance) -> None:
        task = self._loop.create_task(self._close(instance))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close(self, instance: RunningInstance) -> None:
        """Close an instance once the events that still use it have ended."""
        tasks = [e.task for e in self.events.all() if e.instance is instance and e.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=instance.event_deadline_s)
        await instance.close()

    # --- what the server says about itself --------------------------------------------------------

    def _instance_status(
        self, connection: "KongConnection", message_id: int, args: list[Any]
    ) -> object:
        return self._instances.get(args[0]).told

    def _get_status(self, connection: "KongConnection", message_id: int, args: list[Any]) -> object:
        module = self._module
        return {
            "Pid": os.getpid(),
            "Plugins": {
                module.name: {
                    "Name": module.name,
                    "Modtime": module.mtime,
                    "LoadTime": module.load_time,
                    "Instances": [instance.told for instance in self._instances],
                    "LastStartInstance": module.last_start_instance_time,
                    "LastCloseInstance": module.last_close_instance_time,
                }
            },
            "Events": len(self.events),
            "LingeringPhases": self.events.lingering_count,
        }

    def _get_plugin_info(
        self, connection: "KongConnection", message_id: int, args: list[Any]
    ) -> object:
        if args and args[0] != self._module.name:
            raise InvalidConfiguration(f"this server serves {self._module.name} only")
        return plugin_info(self._module)


class UnknownPhase(LookupError):
    """Kong names a phase that the plugin does not have."""

    def __init__(self, phase: object) -> None:
        super().__init__(f"the plugin has no phase {str(phase)[:50]!r}")


class KongConnection(asyncio.Protocol):
    """One connection of Kong's pool."""

    def __init__(self, server: PluginServer) -> None:
        self._server = server
        self._reader = RequestReader()
        self._transport: asyncio.Transport | None = None
        self.file_descriptor = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Tell Kong which process this is: when it changes, Kong drops the instances it knew."""
        # uvloop's transports have the methods of asyncio.Transport, but are no subclass of it
        self._transport = cast(asyncio.Transport, transport)
        self.file_descriptor = transport.get_extra_info("socket").fileno()
        self._transport.write(self._server.packer.pack([2, "serverPid", os.getpid()]))

    def data_received(self, data: bytes) -> None:
        """Carry out the requests that `data` completes."""
        try:
            requests = self._reader.feed(data)
        except GarbledMessage as error:
            _log.error("closing a connection that does not speak MsgPack:1 (%s)", error)
            if self._transport is not None:
                self._transport.abort()
            return
        for message_id, method, args in requests:
            self._server.dispatch(self, message_id, method, args)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what is owed to a connection that is gone."""
        self._transport = None
        self._server.connection_lost(self)

    def pause_writing(self) -> None:
        """Take no more requests from a peer that does not read its answers."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        if self._transport is not None:
            self._transport.resume_reading()

    def answer(self, message_id: int, result: object) -> None:
        """Write an answer, of any length; the transport keeps what the socket does not take yet."""
        packed = self._server.packer.pack([1, message_id, None, result])
        if self._transport is not None:
            self._transport.write(packed)

    def refuse(self, message_id: int, error: str) -> None:
        """Write an error."""
        if self._transport is not None:
            self._transport.write(self._server.packer.pack([1, message_id, error, None]))

    @property
    def has_unsent_bytes(self) -> bool:
        """Whether part of an earlier answer still waits to be sent."""
        return self._transport is not None and self._transport.get_write_buffer_size() > 0
