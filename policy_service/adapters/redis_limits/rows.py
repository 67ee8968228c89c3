"""The queue of usage rows: a Redis stream that every process reads as one consumer group."""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from policy_service.adapters.redis_limits.faults import translated
from policy_service.adapters.redis_limits.keys import Keys
from policy_service.adapters.redis_limits.scripts import Scripts
from policy_service.ports.limits import Backlog, QueuedRow

GROUP = "ledger"

# One wait in Redis. Shorter than the command timeout, so that a connection that hangs is told from
# one that waits, and short enough to look for other processes' forgotten rows meanwhile.
_LONGEST_BLOCK_S = 1.0
# Scripts hold Redis up while they run.
_ACKNOWLEDGED_AT_ONCE = 1000


class RowsQueue:
    """Takes rows from the stream and strikes them off when they are in the ledger.

    The rows are put there by `settle.lua` and `expire.lua`, in the same step as the change they
    tell of.

    Args:
        redelivery_s: A row that was taken and not acknowledged for so long is given out again.
        remembered_s: How long a settled reservation is remembered after its row is in the ledger.
    """

    def __init__(
        self,
        redis: Redis,
        scripts: Scripts,
        keys: Keys,
        *,
        redelivery_s: float,
        remembered_s: float,
    ) -> None:
        self._redis = redis
        self._acknowledge = scripts.acknowledge
        self._given = scripts.given
        self._keys = keys
        self._key = keys.rows
        self._redelivery_ms = int(redelivery_s * 1000)
        self._remembered_ms = int(remembered_s * 1000)
        self._consumer = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._forgotten_from = "0-0"

    async def take(self, most: int, wait_s: float) -> tuple[QueuedRow, ...]:
        """See `LimitsStore.take_rows`."""
        if most < 1:
            return ()
        until = time.monotonic() + wait_s
        while True:
            left_s = max(0.0, until - time.monotonic())
            with translated():
                held_ms = await self._redis.pttl(self._keys.hold)
                if held_ms > 0:
                    await asyncio.sleep(min(held_ms / 1000, left_s))
                    if time.monotonic() >= until:
                        return ()
                    continue
                try:
                    rows = await self._forgotten(most) or await self._new(most, left_s)
                    if rows:
                        # Before anybody can write them: who reads the ledger must notice.
                        await self._given(keys=[self._keys.mark])
                except ResponseError as error:
                    # The group goes when Redis loses its data; a reader that waits is told so by
                    # UNBLOCKED.
                    if not str(error).startswith(("NOGROUP", "UNBLOCKED")):
                        raise
                    await self._create_group()
                    continue
            if rows or time.monotonic() >= until:
                return rows

    async def acknowledge(self, rows: Sequence[QueuedRow]) -> bool:
        """See `LimitsStore.acknowledge`."""
        unknown = 0
        with translated():
            for start in range(0, len(rows), _ACKNOWLEDGED_AT_ONCE):
                some = rows[start : start + _ACKNOWLEDGED_AT_ONCE]
                named = [text for row in some for text in (row.token, row.decision_id)]
                unknown += await self._acknowledge(
                    keys=[self._key, self._keys.unwritten, self._keys.mark],
                    args=[GROUP, self._keys.reservations, self._remembered_ms, *named],
                )
        return unknown == 0

    async def backlog(self) -> Backlog:
        """See `LimitsStore.backlog`; a row's id begins with the time at which it was queued."""
        with translated():
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.zcard(self._keys.leases)
                pipe.xlen(self._key)
                pipe.xrange(self._key, count=1)
                leases, rows, first = await pipe.execute()
        if not first:
            return Backlog(leases, rows)
        queued_ms = int(first[0][0].partition(b"-")[0])
        return Backlog(leases, rows, datetime.fromtimestamp(queued_ms / 1000, UTC))

    async def _forgotten(self, most: int) -> tuple[QueuedRow, ...]:
        answer: Any = await self._redis.xautoclaim(
            self._key,
            GROUP,
            self._consumer,
            min_idle_time=self._redelivery_ms,
            start_id=self._forgotten_from,
            count=most,
        )
        self._forgotten_from = answer[0].decode()
        return _rows(answer[1])

    async def _new(self, most: int, wait_s: float) -> tuple[QueuedRow, ...]:
        # BLOCK 0 would wait for ever; no BLOCK at all does not wait.
        block_ms = int(min(wait_s, _LONGEST_BLOCK_S, self._redelivery_ms / 1000) * 1000) or None
        answer: Any = await self._redis.xreadgroup(
            GROUP, self._consumer, {self._key: ">"}, count=most, block=block_ms
        )
        if not answer:
            return ()
        # RESP3 answers with a mapping of lists of lists, RESP2 with a list of pairs.
        entries = next(iter(answer.values()))[0] if isinstance(answer, dict) else answer[0][1]
        return _rows(entries)

    async def _create_group(self) -> None:
        try:
            await self._redis.xgroup_create(self._key, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):  # another process was faster
                raise


def _rows(entries: Iterable[Any]) -> tuple[QueuedRow, ...]:
    # Before Redis 7, XAUTOCLAIM names entries that are deleted by now, without their fields.
    return tuple(
        QueuedRow(token=entry_id.decode(), decision_id=fields[b"id"].decode(), row=fields[b"row"])
        for entry_id, fields in entries
        if fields
    )
