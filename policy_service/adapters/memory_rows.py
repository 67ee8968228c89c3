"""The queue of usage rows in one process's memory."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from policy_service.ports.limits import QueuedRow


class MemoryRows:
    """Gives rows out until they are acknowledged, as a Redis stream's consumer group does.

    Args:
        redelivery_s: A row that was taken and not acknowledged for so long is given out again.
    """

    def __init__(self, redelivery_s: float) -> None:
        self._redelivery_s = redelivery_s
        self._waiting: deque[QueuedRow] = deque()
        # Each row with the time it was last given out, the oldest first.
        self._taken: dict[str, tuple[float, QueuedRow]] = {}
        # When each was queued, the oldest first.
        self._since: dict[str, datetime] = {}
        self._last_token = 0
        self._arrived = asyncio.Event()

    def put(self, decision_id: str, row: bytes) -> None:
        """Queue a row."""
        self._last_token += 1
        token = str(self._last_token)
        self._since[token] = datetime.now(UTC)
        self._waiting.append(QueuedRow(token=token, decision_id=decision_id, row=row))
        self._arrived.set()

    async def take(self, most: int, wait_s: float) -> tuple[QueuedRow, ...]:
        """See `LimitsStore.take_rows`."""
        until = time.monotonic() + wait_s
        while most > 0:
            rows = self._forgotten(most) or self._new(most)
            left_s = until - time.monotonic()
            if rows or left_s <= 0:
                return rows
            self._arrived.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left_s, self._until_forgotten_s())):
                    await self._arrived.wait()
        return ()

    def strike_off(self, rows: Sequence[QueuedRow]) -> list[QueuedRow]:
        """Forget rows that are in the ledger; those that were known are returned."""
        for row in rows:
            self._since.pop(row.token, None)
        return [row for row in rows if self._taken.pop(row.token, None)]

    def __len__(self) -> int:
        """How many are not acknowledged."""
        return len(self._since)

    @property
    def oldest_at(self) -> datetime | None:
        """When the oldest of these was queued."""
        return next(iter(self._since.values()), None)

    def _forgotten(self, most: int) -> tuple[QueuedRow, ...]:
        given_before = time.monotonic() - self._redelivery_s
        rows: list[QueuedRow] = []
        for at, row in self._taken.values():
            if at > given_before or len(rows) == most:
                break
            rows.append(row)
        return self._given(rows)

    def _new(self, most: int) -> tuple[QueuedRow, ...]:
        return self._given([self._waiting.popleft() for _ in range(min(most, len(self._waiting)))])

    def _given(self, rows: list[QueuedRow]) -> tuple[QueuedRow, ...]:
        now = time.monotonic()
        for row in rows:
            self._taken.pop(row.token, None)
            self._taken[row.token] = (now, row)
        return tuple(rows)

    def _until_forgotten_s(self) -> float:
        oldest = next(iter(self._taken.values()), None)
        if oldest is None:
            return self._redelivery_s
        return max(0.0, oldest[0] + self._redelivery_s - time.monotonic())
