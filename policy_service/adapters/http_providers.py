"""Model providers over HTTP, by httpx; a pool of connections for each provider."""

import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field

import httpx

from llm_core.errors import ProviderError, ProviderTimeout, ProviderUnavailable
from llm_core.providers.translator import ProviderRequest
from policy_service.adapters.http_pool import ConnectionPool
from policy_service.ports.providers import ProviderAnswer

CONNECT_TIMEOUT_S = 5.0
_FAULTS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict)
"""Every exception of httpx has one of these above it; a contract test holds that."""
_GZIP = 16 + zlib.MAX_WBITS
_LONGEST_PIECE_BYTES = 1024 * 1024
"""Of a decompressed body: a kilobyte can stand for a megabyte of it."""


class HttpProviders:
    """Implements `Providers`.

    Args:
        idle_timeout_s: Longest silence inside a body.
    """

    def __init__(self, idle_timeout_s: float) -> None:
        self._idle_timeout_s = idle_timeout_s
        self._ssl = httpx.create_ssl_context()
        self._pools: dict[tuple[str, str, int | None], ConnectionPool] = {}

    async def send(
        self, request: ProviderRequest, credential: Mapping[str, str], timeout_s: float
    ) -> ProviderAnswer:
        """Send, and wait for the head."""
        # httpx's read timeout holds for each read: the first read waits for the head, the later
        # ones for the body's next piece. The client's own is the idle one; the head has its own.
        timeout = httpx.Timeout(
            self._idle_timeout_s, connect=CONNECT_TIMEOUT_S, read=max(timeout_s, 0.001)
        )
        try:
            pool = self._pool(httpx.URL(request.url))
            connection = await pool.lend()
        except _FAULTS as fault:
            raise _translated(fault) from fault
        try:
            sent = connection.build_request(
                "POST",
                request.url,
                headers={"accept-encoding": "gzip", **request.headers, **credential},
                content=request.body,
                timeout=timeout,
            )
            answer = await connection.send(sent, stream=True)
        except BaseException as fault:
            await pool.discard(connection)
            if isinstance(fault, UnicodeError):
                # A credential that no header can carry; the error would quote it.
                raise ProviderUnavailable("The model provider cannot be asked.") from None
            if isinstance(fault, _FAULTS):
                raise _translated(fault) from fault
            raise
        sent.extensions["timeout"]["read"] = self._idle_timeout_s
        return _HttpAnswer(answer, pool, connection)

    async def close(self) -> None:
        """Close the pools."""
        while self._pools:
            _, pool = self._pools.popitem()
            await pool.close()

    def _pool(self, url: httpx.URL) -> ConnectionPool:
        origin = (url.scheme, url.host, url.port)
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = ConnectionPool(self._ssl)
        return pool


@dataclass(slots=True)
class _HttpAnswer:
    """Implements `ProviderAnswer`."""

    answer: httpx.Response
    _pool: ConnectionPool
    _connection: httpx.AsyncClient
    _is_closed: bool = field(default=False, init=False)

    @property
    def status(self) -> int:
        """HTTP status."""
        return self.answer.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        """Lower-case names."""
        return self.answer.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, decompressed in pieces of bounded length."""
        encoding = self.answer.headers.get("content-encoding", "identity").strip().lower()
        try:
            if encoding == "identity":
                async for chunk in self.answer.aiter_raw():
                    yield chunk
                return
            if encoding not in ("gzip", "x-gzip"):
                raise ProviderUnavailable("The model provider's answer cannot be unpacked.")
            unpacking, has_come = zlib.decompressobj(_GZIP), False
            async for chunk in self.answer.aiter_raw():
                has_come = True
                for piece in _unpacked(unpacking, chunk):
                    yield piece
            if has_come and not unpacking.eof:
                raise ProviderUnavailable("The connection to the model provider broke.")
        except _FAULTS as fault:
            raise _translated(fault) from fault

    async def close(self) -> None:
        """Let go of the connection; an unfinished answer is cancelled with it."""
        if self._is_closed:
            return
        self._is_closed = True
        if self.answer.is_closed:  # so it is when all of it has been read
            await self._pool.give_back(self._connection)
        else:
            await self._pool.discard(self._connection)


def _unpacked(unpacking: "zlib._Decompress", packed: bytes) -> Iterator[bytes]:
    """Give what `packed` holds, never more than a piece at once."""
    try:
        while packed and not unpacking.eof:
            if piece := unpacking.decompress(packed, _LONGEST_PIECE_BYTES):
                yield piece
            packed = unpacking.unconsumed_tail
    except zlib.error as fault:
        raise ProviderUnavailable("The model provider's answer cannot be unpacked.") from fault


def _translated(fault: Exception) -> ProviderError:
    if isinstance(fault, httpx.ConnectTimeout | httpx.PoolTimeout):
        return ProviderUnavailable("The model provider cannot be reached.")
    if isinstance(fault, httpx.TimeoutException):
        return ProviderTimeout("The model provider did not answer in time.")
    if isinstance(fault, httpx.ConnectError | httpx.InvalidURL | httpx.UnsupportedProtocol):
        return ProviderUnavailable("The model provider cannot be reached.")
    return ProviderUnavailable("The connection to the model provider broke.")
