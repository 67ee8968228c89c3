"""HTTP/1.1 towards the upstream: pooled connections, answers passed on piece by piece.

No redirects, no decompression, no cookies: bytes go through as they are.
"""

import asyncio
import logging
import socket
import ssl
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import httptools

from devkong.errors import ClientGone, UpstreamFailure
from devkong.headers import Headers

IDLE_PER_TARGET = 64

_FIRST_FINAL_STATUS = 200

_log = logging.getLogger("devkong.upstream")


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect; `server_name` is for TLS only."""

    scheme: str
    host: str
    port: int
    server_name: str = ""


class UpstreamConnection(asyncio.Protocol):
    """One connection; carries one request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.is_closed = False
        self.exchange: Exchange | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        # uvloop's transports are none by inheritance.
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take what came in."""
        if self.exchange is None:
            self.close()  # an idle upstream has nothing to say
        else:
            self.exchange.feed(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end of the connection."""
        self.is_closed = True
        if self.exchange is not None:
            self.exchange.ended()

    def close(self) -> None:
        """Close at once."""
        self.is_closed = True
        if self.transport is not None:
            self.transport.abort()


class Exchange:
    """One request on a connection, and its answer as it comes in."""

    def __init__(
        self, connection: UpstreamConnection, *, is_head: bool, read_timeout_s: float
    ) -> None:
        loop = asyncio.get_running_loop()
        self.status = 0
        self.headers = Headers()
        self._connection = connection
        self._is_head = is_head
        self._read_timeout_s = read_timeout_s
        self._parser: Any = httptools.HttpResponseParser(self)
        self._loop = loop
        self._head: asyncio.Future[None] = loop.create_future()
        self._body: asyncio.Future[None] = loop.create_future()
        self._chunks: list[bytes] = []
        self._sink: Callable[[bytes], None] | None = None
        self._is_keepable = False
        self._is_paused = False
        self._last_read = loop.time()
        self._timer = loop.call_later(read_timeout_s, self._check_timeout)
        self.has_data = False
        connection.exchange = self

    def send(self, message: bytes) -> None:
        """Write the request."""
        if self._connection.transport is not None:
            self._connection.transport.write(message)

    async def head(self) -> None:
        """Wait for status and headers.

        Raises:
            UpstreamFailure: None came, or nonsense.
            ClientGone: `cancel` was called.
        """
        await self._head

    async def read(self) -> bytes:
        """The whole body; raises as `head` does."""
        await self._body
        return self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)

    async def pipe(self, sink: Callable[[bytes], None]) -> None:
        """Hand every piece of the body on as it comes; raises as `head` does."""
        self._sink = sink
        for chunk in self._chunks:
            sink(chunk)
        self._chunks.clear()
        await self._body

    def pause(self) -> None:
        """Stop reading: the client is slower than the upstream."""
        if self._connection.transport is not None and not self._connection.is_closed:
            self._is_paused = True
            self._connection.transport.pause_reading()

    def resume(self) -> None:
        """Go on reading."""
        if self._is_paused and self._connection.transport is not None:
            self._is_paused = False
            self._last_read = self._loop.time()
            if not self._connection.is_closed:
                self._connection.transport.resume_reading()

    def cancel(self) -> None:
        """The client has gone: close the connection to the upstream."""
        self._fail(ClientGone())

    def release(self) -> UpstreamConnection | None:
        """End the exchange; gives the connection back when it may be used again."""
        self._timer.cancel()
        connection = self._connection
        connection.exchange = None
        if self._is_keepable and not connection.is_closed:
            return connection
        connection.close()
        return None

    def feed(self, data: bytes) -> None:
        """Take what the connection received."""
        self._last_read = self._loop.time()
        self.has_data = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._body.done():
                self._fail(UpstreamFailure(502, f"invalid response: {error}"))

    def ended(self) -> None:
        """Take the end of the connection."""
        if self._body.done():
            return
        is_delimited = "content-length" in self.headers or "transfer-encoding" in self.headers
        if self._head.done() and not is_delimited:
            self._complete(is_keepable=False)  # the end of the connection ends the body
        else:
            what = "truncated response" if self._head.done() else "closed before any response"
            self._fail(UpstreamFailure(502, what, is_retryable=not self.has_data))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header."""
        self.headers.add(
            name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape")
        )

    def on_headers_complete(self) -> None:
        """Take the end of the head."""
        self.status = self._parser.get_status_code()
        if self.status < _FIRST_FINAL_STATUS:
            self.headers = Headers()
            return
        if not self._head.done():
            self._head.set_result(None)
        if self._is_head:
            # The parser would wait for a body that never comes.
            self._complete(is_keepable=False)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        if self._sink is not None:
            self._sink(body)
        else:
            self._chunks.append(body)

    def on_message_complete(self) -> None:
        """Take the end of the message."""
        if self.status >= _FIRST_FINAL_STATUS:
            self._complete(is_keepable=bool(self._parser.should_keep_alive()))

    def _complete(self, *, is_keepable: bool) -> None:
        if not self._body.done():
            self._is_keepable = is_keepable
            self._timer.cancel()
            self._body.set_result(None)

    def _fail(self, error: Exception) -> None:
        self._timer.cancel()
        for future in (self._head, self._body):
            if not future.done():
                future.set_exception(error)
                future.exception()  # whoever waits gets it; nobody need wait for both
        self._connection.close()

    def _check_timeout(self) -> None:
        silent_s = self._loop.time() - self._last_read
        if silent_s >= self._read_timeout_s and not self._is_paused:
            self._fail(UpstreamFailure(504, "upstream timed out", is_retryable=not self.has_data))
            return
        wait_s = self._read_timeout_s if self._is_paused else self._read_timeout_s - silent_s
        self._timer = self._loop.call_later(max(wait_s, 0.001), self._check_timeout)


class UpstreamPool:
    """Connections to upstreams, kept for the next request."""

    def __init__(self) -> None:
        self._idle: dict[Address, list[UpstreamConnection]] = defaultdict(list)
        # As in Kong by default, upstream certificates are not verified.
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE

    async def open(
        self, address: Address, *, is_head: bool, connect_timeout_s: float, read_timeout_s: float
    ) -> Exchange:
        """A connection, ready to send on.

        Raises:
            UpstreamFailure: 502 refused, 503 the name does not resolve, 504 too slow.
        """
        connection = self._reusable(address)
        if connection is None:
            connection = await self._connect(address, connect_timeout_s)
        return Exchange(connection, is_head=is_head, read_timeout_s=read_timeout_s)

    def put_back(self, address: Address, exchange: Exchange) -> None:
        """End an exchange and keep its connection if it is still good."""
        connection = exchange.release()
        if connection is None:
            return
        idle = self._idle[address]
        if len(idle) >= IDLE_PER_TARGET:
            connection.close()
        else:
            idle.append(connection)

    def close(self) -> None:
        """Close all idle connections."""
        for idle in self._idle.values():
            for connection in idle:
                connection.close()
        self._idle.clear()

    def _reusable(self, address: Address) -> UpstreamConnection | None:
        idle = self._idle.get(address)
        while idle:
            connection = idle.pop()
            if not connection.is_closed:
                return connection
        return None

    async def _connect(self, address: Address, timeout_s: float) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        is_tls = address.scheme == "https"
        try:
            async with asyncio.timeout(timeout_s):
                _, connection = await loop.create_connection(
                    UpstreamConnection,
                    address.host,
                    address.port,
                    ssl=self._tls if is_tls else None,
                    server_hostname=(address.server_name or address.host) if is_tls else None,
                )
        except socket.gaierror as error:
            raise UpstreamFailure(503, "name resolution failed") from error
        except TimeoutError as error:
            raise UpstreamFailure(504, "connect timed out", is_retryable=True) from error
        except OSError as error:
            raise UpstreamFailure(502, f"connect failed: {error}", is_retryable=True) from error
        return connection
