"""Notes when keys were last used, and writes it down now and then."""

import asyncio
import logging
from dataclasses import dataclass, field

from llm_core.errors import PolicyUnavailable
from policy_service.ports.clock import Clock
from policy_service.ports.keys import Keys

_EVERY_S = 10.0
_MOST = 200_000

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class LastUsed:
    """Which keys were used since the last time it was written: all with one time, in one statement.

    So a key's time is true to within `every_s`, and what the plugins remember. An outage loses
    nothing but a moment: what could not be written is kept and written with the next.
    """

    keys: Keys
    clock: Clock
    every_s: float = _EVERY_S
    _used: set[str] = field(default_factory=set)

    def note(self, key_id: str) -> None:
        """This key was used just now."""
        if len(self._used) < _MOST:
            self._used.add(key_id)

    async def write(self) -> None:
        """Write what was noted.

        Raises:
            PolicyUnavailable: The database failed; nothing is forgotten.
        """
        if not self._used:
            return
        writing, self._used = self._used, set()
        try:
            await self.keys.note_used(writing, self.clock())
        except BaseException:
            self._used |= writing
            raise

    async def run(self) -> None:
        """Write every `every_s` until cancelled."""
        while True:
            await asyncio.sleep(self.every_s)
            try:
                await self.write()
            except PolicyUnavailable as outage:
                _log.warning("when keys were used is not written for now: %s", outage)
            except Exception:  # noqa: BLE001 - the work must go on, whatever the fault
                _log.exception("writing when keys were used stumbled and goes on")

    async def finish(self) -> None:
        """Write the rest when the service stops."""
        try:
            await self.write()
        except PolicyUnavailable as outage:
            _log.warning("when %d keys were used is lost: %s", len(self._used), outage)
