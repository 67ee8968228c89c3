"""Events that wait in this process; what is here ends with it."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice

from policy_service.ports.audit import Noted, Waiting


class MemorySpool:
    """Implements `ports.audit.Spool`; whoever puts looks first how many wait (`len`)."""

    def __init__(self) -> None:
        self._waiting: deque[Noted] = deque()
        self._came = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    async def put(self, noted: Sequence[Noted]) -> None:
        """Leave them; see the port."""
        self._waiting.extend(noted)
        self._came.set()

    async def take(self, most: int, wait_s: float) -> Sequence[Waiting]:
        """Those that wait longest; see the port."""
        if not self._waiting and wait_s > 0:
            self._came.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._came.wait()
        return [Waiting(b"", (noted,)) for noted in islice(self._waiting, most)]

    async def done(self, waiting: Sequence[Waiting]) -> None:
        """These are written, the ones that were taken last."""
        for _ in waiting:
            self._waiting.popleft()

    def start_over(self) -> None:
        """Nobody else takes from here."""

    async def close(self) -> None:
        """Nothing to let go of."""
