"""Events that wait in a Redis Stream: they outlive the process that noted them.

What a process hands over at once is one entry. There is one consumer group with one consumer:
whoever holds the lease of the chain's writer reads in its name, so what a dead process had taken
and not finished is its successor's to finish.
"""

import logging
from collections.abc import Sequence
from typing import Any

import msgspec
from redis.exceptions import ResponseError

from llm_core.errors import PolicyUnavailable
from policy_service.adapters.redis_limits.faults import translated
from policy_service.adapters.redis_pool import redis_client
from policy_service.ports.audit import Noted, Waiting

STREAM = "gatehouse:audit"
_GROUP = "chain"
_CONSUMER = "writer"
_FIELD = b"noted"
_CONNECT_TIMEOUT_S = 1.0
_COMMAND_TIMEOUT_S = 3.0
_MAX_CONNECTIONS = 4
MOST_WAITING = 50_000
"""So many hand-overs wait here at most, each of up to 20 events of about 2 kB; further ones wait in
their processes."""

_COUNT_EVERY = 50

_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[Noted, ...]).decode


class RedisSpool:
    """Implements `ports.audit.Spool`.

    Args:
        url: `redis://...`.
    """

    def __init__(self, url: str, most_waiting: int = MOST_WAITING) -> None:
        self._redis = redis_client(
            url,
            slot_of=STREAM,
            connect_timeout_s=_CONNECT_TIMEOUT_S,
            command_timeout_s=_COMMAND_TIMEOUT_S,
            max_connections=_MAX_CONNECTIONS,
        )
        self._most_waiting = most_waiting
        self._until_counted = 0
        self._must_finish = True
        """Whether something may have been taken and not done: that comes first."""

    async def put(self, noted: Sequence[Noted]) -> None:
        """Add them to the stream; see the port."""
        with translated():
            if self._until_counted <= 0:
                waiting = await self._redis.xlen(STREAM)
                if waiting >= self._most_waiting:
                    raise PolicyUnavailable("Too many events wait in Redis to be written.")
                self._until_counted = _COUNT_EVERY
            self._until_counted -= 1
            await self._redis.xadd(STREAM, {_FIELD: _encode(noted)})

    async def take(self, most: int, wait_s: float) -> Sequence[Waiting]:
        """Read on in the stream; see the port."""
        try:
            with translated():
                return await self._take(most, wait_s)
        except PolicyUnavailable as fault:
            if not _lacks_group(fault.__cause__):
                raise
        with translated():
            await self._create_group()
            return await self._take(most, wait_s)

    async def done(self, waiting: Sequence[Waiting]) -> None:
        """Take them out of the stream; see the port."""
        if not waiting:
            return
        ids = [one.token for one in waiting]
        with translated():
            async with self._redis.pipeline(transaction=True) as pipeline:
                pipeline.xack(STREAM, _GROUP, *ids)
                pipeline.xdel(STREAM, *ids)
                await pipeline.execute()

    def start_over(self) -> None:
        """Read what was taken and not done once more; see the port."""
        self._must_finish = True

    async def close(self) -> None:
        """Let go of connections."""
        with translated():
            await self._redis.aclose()

    async def _take(self, most: int, wait_s: float) -> Sequence[Waiting]:
        if self._must_finish and (found := await self._read("0", most, None)):
            return found
        # If Redis' answer is lost on its way, it holds for taken what nobody has; and a Redis that
        # was killed may not know any more that something is done. So both are looked for after a
        # failure, and when there is nothing else to do.
        self._must_finish = True
        found = await self._read(">", most, max(1, int(wait_s * 1000)) if wait_s > 0 else None)
        self._must_finish = not found
        return found

    async def _create_group(self) -> None:
        try:
            await self._redis.xgroup_create(STREAM, _GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):  # another process was faster
                raise

    async def _read(self, start: str, most: int, block_ms: int | None) -> list[Waiting]:
        answer: Any = await self._redis.xreadgroup(
            _GROUP, _CONSUMER, {STREAM: start}, count=most, block=block_ms
        )
        return [_read(token, fields) for token, fields in _entries(answer)]


def _entries(answer: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:  # noqa: ANN401
    """The entries of the one stream that was read: a list in RESP2, a mapping in RESP3."""
    if not answer:
        return []
    if isinstance(answer, dict):
        return [entry for part in next(iter(answer.values())) for entry in part]
    return list(answer[0][1])


def _read(token: bytes, fields: dict[bytes, bytes]) -> Waiting:
    try:
        return Waiting(token, _decode((fields or {}).get(_FIELD, b"")))
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        # Written by another version, or not by us; its content is not repeated here.
        _log.error("an audit event in Redis cannot be read (%s): %s", token.decode(), fault)
        return Waiting(token, None)


def _lacks_group(cause: BaseException | None) -> bool:
    return isinstance(cause, ResponseError) and "NOGROUP" in str(cause)
