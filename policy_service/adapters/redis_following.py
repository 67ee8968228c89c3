"""Connections that follow a primary: of Sentinels, or of the slot of a cluster.

All keys of one client lie in one slot, so it needs one node at a time, and the same scripts,
pipelines and timeouts serve as for a single Redis. Where that node is, is asked when it is not
known: at the first call, and after a connection broke, timed out, or reached a node that says it is
not the primary. Nothing is tried twice: the call that noticed fails, the next one asks.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterDownError,
    ConnectionError,
    MasterDownError,
    MovedError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)
from redis.maint_notifications import MaintNotificationsConfig

from policy_service.adapters.redis_address import Cluster, Place, Sentinels

Find = Callable[[], Awaitable[Place]]
"""Says where the primary is now."""

_NOT_HERE = (AskError, ClusterDownError, MasterDownError, ReadOnlyError, TryAgainError)
_PRIMARY = ("master", b"master")
_NOWHERE: Place = ("", 0)

_log = logging.getLogger(__name__)


def once(*, connect_timeout_s: float, command_timeout_s: float) -> dict[str, Any]:
    """Options of a connection that gives up soon and tries nothing twice."""
    return {
        "socket_connect_timeout": connect_timeout_s,
        "socket_timeout": command_timeout_s,
        # A step whose answer was lost may have been done: who asked decides what then.
        "retry": Retry(NoBackoff(), 0),
        # With them on, redis-py 8.1 does not look whether a waiting connection was closed, and each
        # one that was fails a call after Redis' restart.
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }


class NotTheOneNamed(ConnectionError):
    """What answers is not what the address says; the message names no address."""


_TELLING = (NotTheOneNamed, AuthenticationError)


class FollowingPool(BlockingConnectionPool):
    """A pool whose connections all lead to the primary of now.

    Args:
        find: Says where the primary is.
        is_role_checked: Whether a server is asked if it is the primary, when connected to. A
            cluster's nodes say it by themselves with each answer.
    """

    def __init__(
        self,
        find: Find,
        *,
        is_role_checked: bool,
        is_tls: bool,
        **options: Any,  # noqa: ANN401 - redis-py's
    ) -> None:
        super().__init__(connection_class=_TlsToPrimary if is_tls else _ToPrimary, **options)
        self._find = find
        self._primary: Place | None = None
        self._finding: asyncio.Task[Place] | None = None
        self._told: Place | None = _NOWHERE
        self.is_role_checked = is_role_checked

    def make_connection(self) -> Connection:
        """Make a connection that tells us what it meets."""
        make: Any = super().make_connection  # which has no types
        connection: _ToPrimary = make()
        connection.pool = self
        return connection

    async def ensure_connection(self, connection: Connection) -> None:  # type: ignore[override]
        """Connect to the primary, wherever the connection led before."""
        place = self._primary or await self._found()
        if (connection.host, connection.port) != place:
            await connection.disconnect()
            connection.host, connection.port = place
        try:
            await super().ensure_connection(connection)
        except (ConnectionError, TimeoutError, OSError):
            self.lost(place)
            raise

    def leads_there(self, connection: Connection) -> bool:
        """Whether a connection that was kept leads to the primary of now."""
        return self._primary is not None and (connection.host, connection.port) == self._primary

    def lost(self, place: Place) -> None:
        """The primary is not there, or not it any more."""
        if self._primary == place:
            self._primary = None

    def moved(self, place: Place) -> None:
        """The primary is there from now on."""
        self._primary = place

    async def aclose(self) -> None:
        """Let go of connections."""
        if self._finding is not None:
            self._finding.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await self._finding
        await super().aclose()

    async def _found(self) -> Place:
        # All who wait for the place wait for one answer, good or bad.
        if self._finding is None or self._finding.done():
            self._finding = asyncio.create_task(self._look())
            self._finding.add_done_callback(_heard)
        return await asyncio.shield(self._finding)

    async def _look(self) -> Place:
        try:
            place = await self._find()
        except (RedisError, OSError) as fault:
            if self._told is not None:
                self._told = None
                _log.warning("where Redis' primary is, nobody says: %s", fault.__cause__ or fault)
            raise
        if place != self._told:
            self._told = place
            _log.info("Redis' primary is %s:%d", *place)
        self._primary = place
        return place


class _ToPrimary(Connection):
    pool: FollowingPool

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        """Greet; a server that is a replica by now is none for us."""
        await super().on_connect_check_health(check_health=check_health)
        if self.pool.is_role_checked:
            await self.send_command("ROLE", check_health=False)
            told = await self.read_response()
            if told[0] not in _PRIMARY:
                raise ConnectionError("This Redis is not the primary (any more).")

    async def read_response(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - redis-py's
        """Read an answer; that of a node which is not the primary breaks the connection."""
        place = (self.host, self.port)
        try:
            return await super().read_response(*args, **options)
        except MovedError as error:
            self.pool.moved((error.host or self.host, error.port))
            raise await self._elsewhere() from error
        except _NOT_HERE as error:
            self.pool.lost(place)
            raise await self._elsewhere() from error
        except (ConnectionError, TimeoutError):
            self.pool.lost(place)
            raise

    async def _elsewhere(self) -> ConnectionError:
        await self.disconnect()
        return ConnectionError("Redis' primary is elsewhere now.")


class _TlsToPrimary(_ToPrimary, SSLConnection):
    pass


def primary_of(address: Sentinels, timeout_s: float) -> Find:
    """Ask all Sentinels at once; the first that knows the primary is heard."""

    async def ask(place: Place) -> Place:
        async with _client(place, address.is_tls, timeout_s, address.sentinel_options) as redis:
            execute: Any = redis.execute_command  # which has no types
            told: Any = await execute("SENTINEL GET-MASTER-ADDR-BY-NAME", address.primary)
        if not told:
            raise NotTheOneNamed("Sentinels know no primary of that name")
        return _text(told[0]), int(told[1])

    async def find() -> Place:
        return await _first([ask(place) for place in address.places])

    return find


def primary_of_slot(address: Cluster, key: str, timeout_s: float) -> Find:
    """Ask the nodes that are known, all at once, who has the slot of a key."""
    slot = key_slot(key.encode())
    known: set[Place] = set()

    async def ask(place: Place) -> Place:
        async with _client(place, address.is_tls, timeout_s, address.options) as redis:
            execute: Any = redis.execute_command  # which has no types
            try:
                slots: Any = await execute("CLUSTER SLOTS")
            except ResponseError as error:
                if "cluster support disabled" not in str(error):
                    raise
                raise NotTheOneNamed("it is no node of a Redis Cluster") from error
        found, nodes = None, set[Place]()
        for first, last, (host, port, *_), *_replicas in slots:
            # A node that does not know its own name leaves it out: it is the one we asked.
            node = (_text(host) or place[0], int(port))
            nodes.add(node)
            if first <= slot <= last:
                found = node
        if found is None:
            raise ClusterDownError("Nobody has the slot.")
        known.clear()
        known.update(nodes)
        return found

    async def find() -> Place:
        return await _first([ask(place) for place in {*address.places, *known}])

    return find


def _heard(finding: "asyncio.Task[Place]") -> None:
    """Who asked may have gone away meanwhile; a fault that nobody fetches would be logged."""
    if not finding.cancelled():
        finding.exception()


async def _first(asked: list[Coroutine[None, None, Place]]) -> Place:
    """The first answer that is one; when there is none, the fault that tells most."""
    asking = [asyncio.ensure_future(one) for one in asked]
    fault: Exception | None = None
    try:
        for next_one in asyncio.as_completed(asking):
            try:
                return await next_one
            except (RedisError, OSError) as error:
                if fault is None or isinstance(error, _TELLING):
                    fault = error
    finally:
        for one in asking:
            one.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    raise ConnectionError("Nobody says where Redis' primary is.") from fault


def _client(place: Place, is_tls: bool, timeout_s: float, options: dict[str, Any]) -> Redis:
    host, port = place
    pool = ConnectionPool(
        connection_class=SSLConnection if is_tls else Connection,
        host=host,
        port=port,
        **{**options, **once(connect_timeout_s=timeout_s, command_timeout_s=timeout_s)},
    )
    return Redis.from_pool(pool)


def _text(told: str | bytes | None) -> str:
    return told.decode() if isinstance(told, bytes) else told or ""
