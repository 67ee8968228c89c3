"""Hearing at once what has changed about callers.

One stream per plugin instance, from its first request until it is closed. While there is none, the
cache's own seconds bound how long something old is believed.
"""

import asyncio
import logging
import random
import time

from kong_plugins._runtime.faults import told_safely
from kong_plugins._runtime.policy_client import ChangeEvent, PolicyClient
from kong_plugins.llm_auth.cache import CallerCache
from llm_core.errors import PolicyUnavailable

_SILENCE_S = 12.0
"""The service says something every 5 s."""

_FIRST_BACK_OFF_S = 0.25
_LONGEST_BACK_OFF_S = 5.0

_log = logging.getLogger(__name__)


class Listening:
    """Keeps a cache true to what the policy service tells.

    Args:
        policy: Where to listen.
        cache: What to keep true.
    """

    def __init__(self, policy: PolicyClient, cache: CallerCache) -> None:
        self._policy = policy
        self._cache = cache
        self._task: asyncio.Task[None] | None = None
        self.connected = asyncio.Event()
        """Set while changes are heard."""

    def start(self) -> None:
        """Begin, if that has not been done; costs next to nothing when it has."""
        if self._task is None:
            self._task = asyncio.create_task(self._listen_for_ever())

    async def close(self) -> None:
        """Hang up."""
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _listen_for_ever(self) -> None:
        back_off_s = _FIRST_BACK_OFF_S
        while True:
            try:
                await self._listen()
                was_heard = True
            except PolicyUnavailable:
                was_heard = self.connected.is_set()
            except Exception as fault:  # noqa: BLE001 - listening must go on, whatever the fault
                _log.error("listening for changes stumbled: %s", told_safely(fault))
                was_heard = False
            if self.connected.is_set():
                _log.info("changes are not heard for now; callers are remembered for their seconds")
            self.connected.clear()
            back_off_s = (
                _FIRST_BACK_OFF_S if was_heard else min(back_off_s * 2, _LONGEST_BACK_OFF_S)
            )
            # Not all of a cluster's plugins at the same moment.
            await asyncio.sleep(back_off_s * random.uniform(0.5, 1.0))  # noqa: S311 - no secret

    async def _listen(self) -> None:
        async for event in self._policy.changes(_SILENCE_S):
            self._heed(event)

    def _heed(self, event: ChangeEvent) -> None:
        now_s = time.monotonic()
        match event.event:
            case "hello":
                # What changed before the stream began was not heard.
                self._cache.ask_anew(now_s)
                self.connected.set()
            case "key" if event.key_id is not None:
                self._cache.forget_key(event.key_id, now_s)
            case "heartbeat":
                pass
            case _:
                # Also for what only a newer service says.
                self._cache.ask_anew(now_s)
