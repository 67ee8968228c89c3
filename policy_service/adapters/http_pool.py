"""Connections to one provider, each lent to one call at a time.

HTTP/2 would carry many calls on one connection. httpx lets them harm each other there: one call's
read timeout ends every other call on the connection, a busy neighbour keeps a call's timeout from
ever coming, and a call that is given up is neither cancelled at the provider nor taken out of the
connection's flow control window, until nothing moves any more. Calls here are different tenants',
and a client that leaves is an everyday thing. So a connection is lent, not shared: whoever gives a
call up closes its connection, which every provider understands.

Source:
    https://github.com/encode/httpcore/issues/1022, https://github.com/encode/httpcore/pull/944
    (checked 2026-11-20)
"""

import asyncio
import ssl
import time
from collections import deque
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

_MOST_CONNECTIONS = 500
_MOST_IDLE = 100
_IDLE_S = 30.0
_WAIT_S = 5.0
_ONE = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=_IDLE_S)


class ConnectionPool:
    """Lends connections to one provider: a slow one cannot take another's.

    A connection speaks HTTP/2 where the provider offers it, follows no redirect, and keeps no
    cookie: one caller's answer must not steer another's request.

    Args:
        ssl_context: Says whom to trust; one for all pools, for to read the certificates takes some
            20 ms.
    """

    def __init__(self, ssl_context: ssl.SSLContext) -> None:
        self._ssl = ssl_context
        self._places = asyncio.Semaphore(_MOST_CONNECTIONS)
        self._idle: deque[tuple[float, httpx.AsyncClient]] = deque()
        self._lent: set[httpx.AsyncClient] = set()

    async def lend(self) -> httpx.AsyncClient:
        """Give a connection to one call, which has to end with `give_back` or `discard`.

        Raises:
            httpx.PoolTimeout: All are lent, and none came back in time.
        """
        try:
            async with asyncio.timeout(_WAIT_S):
                await self._places.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout("every connection is in use") from None
        client = self._idle.pop()[1] if self._idle else self._opened()
        self._lent.add(client)
        return client

    async def give_back(self, client: httpx.AsyncClient) -> None:
        """Take a connection back whose answer has been read to its end."""
        self._lent.discard(client)
        now_s = time.monotonic()
        self._idle.append((now_s, client))
        self._places.release()
        # The one that came back last is lent first, so the others grow old at the front.
        while self._idle and (len(self._idle) > _MOST_IDLE or self._idle[0][0] < now_s - _IDLE_S):
            await self._idle.popleft()[1].aclose()

    async def discard(self, client: httpx.AsyncClient) -> None:
        """Close the connection of a call that failed or was given up; so the provider hears."""
        self._lent.discard(client)
        try:
            await client.aclose()
        finally:
            self._places.release()

    async def close(self) -> None:
        """Close every connection, lent ones too."""
        clients = [*self._lent, *(client for _, client in self._idle)]
        self._idle.clear()
        for client in clients:
            await client.aclose()

    def _opened(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            http2=True,
            limits=_ONE,
            follow_redirects=False,
            trust_env=True,
            verify=self._ssl,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )
