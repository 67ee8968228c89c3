"""MessagePack-RPC to one plugin server over a pool of Unix socket connections.

As Kong's side of it (kong/runloop/plugin_servers/rpc/mp_rpc.lua): every call takes a connection
from the keep-alive pool and gives it back, so the steps of one event travel over several. devkong
spreads them on purpose: the connection that rested longest goes first, and the pool is filled up
before any is used twice. A call that timed out gives its connection back too; the late answer then
either meets an idle connection, which is closed, or the next call, which fails with a 500.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from devkong import lua
from devkong.errors import LuaError

POOL_SIZE = 30
"""OpenResty's `lua_socket_pool_size`."""
SPREAD = 3
"""So many connections are opened before one is reused."""

_RESPONSE, _NOTIFICATION = 1, 2

_log = logging.getLogger("devkong.rpc")


class RpcFailed(Exception):
    """A call came to nothing: no connection, no answer, or the plugin server said no.

    Kong logs it and goes on as if the plugin had had nothing to do.
    """


class RpcConnection(asyncio.Protocol):
    """One connection; at most one call is under way on it."""

    def __init__(self, pool: "RpcPool") -> None:
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._unpacker = lua.new_unpacker()
        self._waiter: asyncio.Future[list[Any] | None] | None = None
        self.is_closed = False
        self.is_idle = False
        """In the pool, where OpenResty closes a connection on which anything arrives."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        # uvloop's transports are none by inheritance.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take what came in."""
        if self.is_idle:
            self.close()  # nobody asked: a late answer to a call that timed out
            return
        # A server may speak first on a new connection; it is read with the first call's answer.
        self._unpacker.feed(data)
        if self._waiter is not None:
            self._read()

    def _read(self) -> None:
        try:
            for message in self._unpacker:
                if message[0] != _NOTIFICATION:
                    self._resolve(message)
                    return
                self._pool.notified(message[1], message[2])
        except (ValueError, TypeError, IndexError, KeyError):
            _log.error("a plugin server sent something that is no MessagePack-RPC")
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end of the connection."""
        self.is_closed = True
        self._pool.forget(self)
        self._resolve(None)

    async def exchange(self, request: bytes, timeout_s: float) -> list[Any] | None:
        """Send one message and wait for one; `None` when none came in time or the peer died."""
        if self._transport is None or self.is_closed:
            return None
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        self._transport.write(request)
        self._read()
        timer = loop.call_later(timeout_s, self._resolve, None)
        try:
            return await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    def close(self) -> None:
        """Close at once."""
        self.is_closed = True
        if self._transport is not None:
            self._transport.abort()

    def _resolve(self, message: list[Any] | None) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(message)


class RpcPool:
    """Calls to one plugin server.

    Args:
        socket_path: Where it listens.
        timeout_s: How long an answer may take; nginx' `lua_socket_read_timeout`.
        on_notification: Gets label and argument of what the server says unasked.
    """

    def __init__(
        self, socket_path: str, timeout_s: float, on_notification: Callable[[str, Any], None]
    ) -> None:
        self._socket_path = socket_path
        self._timeout_s = timeout_s
        self._on_notification = on_notification
        self._idle: deque[RpcConnection] = deque()
        self._busy: set[RpcConnection] = set()
        self._message_id = 0

    async def call(self, method: str, *args: object) -> Any:  # noqa: ANN401 - the server's answer
        """Call a method.

        Raises:
            RpcFailed: The plugin server is not there, gave no answer, or answered with an error.
            LuaError: The answer belongs to another call; the connection is poisoned.
        """
        connection = await self._take()
        self._message_id += 1
        message_id = self._message_id
        answer: list[Any] | None = None
        try:
            request = lua.pack([0, message_id, method, args])
            answer = await connection.exchange(request, self._timeout_s)
        finally:
            self._give_back(connection)
        if answer is None:
            raise RpcFailed("no data")
        kind, answered_id, error, result = (*answer, None, None, None)[:4]
        if kind != _RESPONSE or answered_id != message_id:
            connection.close()
            raise LuaError("unexpected RPC response ID from plugin server")
        if error is not None:
            raise RpcFailed(str(error))
        return result

    def notified(self, label: str, args: object) -> None:
        """Hand a notification on."""
        self._on_notification(label, args)

    def forget(self, connection: RpcConnection) -> None:
        """Drop a connection that is gone."""
        self._busy.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def close(self) -> None:
        """Close all connections."""
        for connection in [*self._idle, *self._busy]:
            connection.close()

    async def _take(self) -> RpcConnection:
        if self._idle and len(self._idle) + len(self._busy) >= SPREAD:
            connection = self._idle.popleft()
            connection.is_idle = False
        else:
            connection = await self._connect()
        self._busy.add(connection)
        return connection

    def _give_back(self, connection: RpcConnection) -> None:
        self._busy.discard(connection)
        if connection.is_closed:
            return
        if len(self._idle) >= POOL_SIZE:
            connection.close()
            return
        connection.is_idle = True
        self._idle.append(connection)

    async def _connect(self) -> RpcConnection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout_s):
                _, connection = await loop.create_unix_connection(
                    lambda: RpcConnection(self), self._socket_path
                )
        except (OSError, TimeoutError) as error:
            _log.error("trying to connect: unix:%s: %s", self._socket_path, error)
            raise RpcFailed(str(error)) from error
        return connection
