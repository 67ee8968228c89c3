"""Plugin instances: one per configuration and Kong worker, kept until Kong closes it."""

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from kong_pdk.module import Instance, Module

from kong_plugins._runtime.faults import told_safely

Phase = Callable[[Any], Awaitable[None]]

CLOSE_TIMEOUT_S = 1.5
"""How long an instance may take to let go of its connections."""

_IDLE_S = 24 * 3600.0
"""Kong forgets its instances when it reloads; where it did not start us, nobody else clears up."""

_log = logging.getLogger(__name__)


class NoSuchInstance(LookupError):
    """Kong names an instance that is not here; it starts a new one when told in these words."""

    def __init__(self, instance_id: object) -> None:
        super().__init__(f"no plugin instance #{instance_id}")


class InvalidConfiguration(ValueError):
    """What a plugin's constructor raises; the message reaches Kong's log, so it holds no secret."""


class RunningInstance:
    """A plugin object and its phases.

    Args:
        event_deadline_s: From `event_deadline_ms` in the configuration, else the server's.
    """

    __slots__ = ("_kong_instance", "event_deadline_s", "id", "last_used", "phases")

    def __init__(
        self, instance_id: int, kong_instance: Instance, phases: list[str], event_deadline_s: float
    ) -> None:
        self.id = instance_id
        self.event_deadline_s = event_deadline_s
        self.last_used = time.monotonic()
        self.phases: Mapping[str, Phase] = {
            name: getattr(kong_instance.cls, name) for name in phases
        }
        self._kong_instance = kong_instance

    @property
    def told(self) -> dict[str, Any]:
        """What `GetStatus` says; not the configuration, for that holds credentials."""
        return {
            "Name": self._kong_instance.name,
            "Id": self.id,
            "StartTime": self._kong_instance.start_time,
        }

    @property
    def config(self) -> dict[str, Any]:
        """As Kong gave it."""
        config: dict[str, Any] = self._kong_instance.config
        return config

    async def close(self) -> None:
        """Await the plugin's own `close`, if it has one, for `CLOSE_TIMEOUT_S` at most."""
        self._kong_instance.close_cb()
        close = getattr(self._kong_instance.cls, "close", None)
        if close is None:
            return
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await close()
        except Exception as fault:  # noqa: BLE001 - nothing depends on it any more
            _log.warning("closing instance #%d: %s", self.id, told_safely(fault))


class Instances:
    """All instances of the one plugin that this server serves."""

    def __init__(self, module: Module, event_deadline_s: float) -> None:
        self._module = module
        self._event_deadline_s = event_deadline_s
        self._instances: dict[int, RunningInstance] = {}
        # Not from zero: Kong may ask for an instance of the process before this one, and must not
        # be served by one with another configuration.
        self._next_id = secrets.randbits(31)

    def __iter__(self) -> Iterator[RunningInstance]:
        return iter(tuple(self._instances.values()))

    def start(self, name: object, config_text: str | bytes) -> RunningInstance:
        """Build the plugin from its configuration.

        Raises:
            InvalidConfiguration: It cannot be built; the message is safe to pass on.
        """
        if name != self._module.name:
            raise InvalidConfiguration(f"this server serves {self._module.name} only")
        try:
            config = json.loads(config_text)
        except (TypeError, ValueError):
            raise InvalidConfiguration("the configuration is not JSON") from None
        try:
            kong_instance = self._module.new(config)
        except InvalidConfiguration:
            raise
        except Exception as fault:  # noqa: BLE001 - a plugin's constructor may raise anything
            _log.error("the plugin cannot be built: %s", told_safely(fault))
            raise InvalidConfiguration(
                f"the plugin cannot be built from this configuration ({type(fault).__name__})"
            ) from None
        instance = RunningInstance(
            self._next_id, kong_instance, self._module.phases, self._deadline_s(config)
        )
        self._next_id += 1
        self._instances[instance.id] = instance
        _log.info("instance #%d of %s started", instance.id, self._module.name)
        return instance

    def get(self, instance_id: object) -> RunningInstance:
        """Find an instance, and note that it is used.

        Raises:
            NoSuchInstance: See there.
        """
        instance = self._instances.get(instance_id) if isinstance(instance_id, int) else None
        if instance is None:
            raise NoSuchInstance(instance_id)
        instance.last_used = time.monotonic()
        return instance

    def take(self, instance_id: object) -> RunningInstance:
        """Find an instance and forget it; it is the caller's to close.

        Raises:
            NoSuchInstance: See there.
        """
        instance = self.get(instance_id)
        del self._instances[instance.id]
        return instance

    def take_idle(self) -> list[RunningInstance]:
        """Forget the instances that have had no event for a day."""
        oldest = time.monotonic() - _IDLE_S
        idle = [instance for instance in self if instance.last_used < oldest]
        for instance in idle:
            del self._instances[instance.id]
        return idle

    def _deadline_s(self, config: object) -> float:
        own = config.get("event_deadline_ms") if isinstance(config, dict) else None
        if own is None:
            return self._event_deadline_s
        if isinstance(own, bool) or not isinstance(own, int | float) or own <= 0:
            raise InvalidConfiguration("event_deadline_ms is not a positive number")
        return own / 1000
