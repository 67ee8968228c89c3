"""A Redis client that keeps a few connections at hand, for commands that a call waits for.

redis-py 8.1 takes a connection from its pool for every command and gives it back, with a lock and a
deadline each, and starts a task to send the command in: 150 µs of processor time for a command, of
which 60 are left here (docs/performance.md). What it does otherwise stays: connecting, encoding,
reading answers and their deadline are its own, and so are pipelines and subscriptions.
"""

from collections.abc import Callable
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import Connection
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import ResponseError

_KEPT_SHARE = 0.75
"""Of a pool's connections: the others are for pipelines and subscriptions."""


class KeptRedis(Redis):
    """Sends a command over a kept connection. Nothing is tried twice.

    Args:
        pool: Makes connections, and takes back those that are more than are kept.
        leads_there: Whether a kept connection still leads where commands are to go.
    """

    def __init__(
        self,
        pool: BlockingConnectionPool,
        *,
        leads_there: Callable[[Connection], bool] = lambda _: True,
    ) -> None:
        super().__init__(connection_pool=pool)
        self.auto_close_connection_pool = True  # as `Redis.from_pool` does: the pool is ours alone
        self._leads_there = leads_there
        self._kept: list[Connection] = []
        self._most_kept = int(pool.max_connections * _KEPT_SHARE)
        self._waiting = 0

    async def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as there
        """Send a command and read its answer.

        A connection on which a command did not come to its end is closed: its answer would else be
        taken for the next command's.

        Raises:
            redis.exceptions.RedisError: As redis-py does.
        """
        connection = await self._taken()
        is_clean = False
        try:
            writer = connection._writer  # `send_packed_command` starts a task
            if writer is None:
                raise Disconnected("the connection was closed while it waited")
            writer.write(b"".join(connection.pack_command(*args)))
            answer = await self.parse_response(connection, args[0], **options)
            is_clean = True
        except ResponseError:
            is_clean = True  # an error is an answer
            raise
        finally:
            if is_clean and not self._waiting and len(self._kept) < self._most_kept:
                self._kept.append(connection)
            else:
                await self._let_go(connection, is_clean=is_clean)
        return answer

    async def _taken(self) -> Connection:
        while self._kept:
            connection = self._kept.pop()
            is_good = False
            try:
                is_good = self._leads_there(connection) and await _is_quiet(connection)
            finally:
                # Also when the caller goes away meanwhile: the pool would have one less for good.
                if not is_good:
                    await self._let_go(connection, is_clean=False)
            if is_good:
                return connection
        self._waiting += 1
        try:
            fresh: Connection = await self.connection_pool.get_connection()  # type: ignore[no-untyped-call]
        finally:
            self._waiting -= 1
        return fresh

    async def _let_go(self, connection: Connection, *, is_clean: bool) -> None:
        try:
            if not is_clean:
                await connection.disconnect(nowait=True)
        finally:
            await self.connection_pool.release(connection)


async def _is_quiet(connection: Connection) -> bool:
    """Whether nothing can be read: Redis has not closed it, and owes nobody an answer."""
    try:
        return connection.is_connected and not await connection.can_read()
    except (Disconnected, OSError):
        return False
