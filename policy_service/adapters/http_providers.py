"""Model providers over HTTP, by httpx: pooled connections, a pool for each provider."""

import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from llm_core.errors import ProviderError, ProviderTimeout, ProviderUnavailable
from llm_core.providers.translator import ProviderRequest
from policy_service.ports import ProviderAnswer

CONNECT_TIMEOUT_S = 5.0
_FAULTS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict)
"""Every exception of httpx has one of these above it; a contract test holds that."""
_POOL = httpx.Limits(max_connections=500, max_keepalive_connections=100, keepalive_expiry=30.0)
"""Of one provider: one that is slow cannot take another's connections."""
_POOL_TIMEOUT_S = 5.0
_GZIP = 16 + zlib.MAX_WBITS
_LONGEST_PIECE_BYTES = 1024 * 1024
"""Of a decompressed body: a kilobyte can stand for a megabyte of it."""


class HttpProviders:
    """Implements `Providers`.

    A pool speaks HTTP/2 where the provider offers it, follows no redirect, and keeps no cookie: one
    caller's answer must not steer another's request.

    Args:
        idle_timeout_s: Longest silence inside a body.
    """

    def __init__(self, idle_timeout_s: float) -> None:
        self._idle_timeout_s = idle_timeout_s
        # One for all pools: to read the certificates takes some 20 ms.
        self._ssl = httpx.create_ssl_context()
        self._pools: dict[tuple[str, str, int | None], httpx.AsyncClient] = {}

    async def send(
        self, request: ProviderRequest, credential: Mapping[str, str], timeout_s: float
    ) -> ProviderAnswer:
        """Send, and wait for the head."""
        # httpx's read timeout holds for each read: the first read waits for the head, the later
        # ones for the body's next piece. The client's own is the idle one; the head has its own.
        timeout = httpx.Timeout(
            self._idle_timeout_s,
            connect=CONNECT_TIMEOUT_S,
            pool=_POOL_TIMEOUT_S,
            read=max(timeout_s, 0.001),
        )
        try:
            pool = self._pool(httpx.URL(request.url))
            sent = pool.build_request(
                "POST",
                request.url,
                headers={"accept-encoding": "gzip", **request.headers, **credential},
                content=request.body,
                timeout=timeout,
            )
            answer = await pool.send(sent, stream=True)
        except UnicodeError:
            # A credential that no header can carry; the error would quote it.
            raise ProviderUnavailable("The model provider cannot be asked.") from None
        except _FAULTS as fault:
            raise _translated(fault) from fault
        sent.extensions["timeout"]["read"] = self._idle_timeout_s
        return _HttpAnswer(answer)

    async def close(self) -> None:
        """Close the pools."""
        while self._pools:
            _, pool = self._pools.popitem()
            await pool.aclose()

    def _pool(self, url: httpx.URL) -> httpx.AsyncClient:
        origin = (url.scheme, url.host, url.port)
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = httpx.AsyncClient(
                http2=True,
                limits=_POOL,
                follow_redirects=False,
                trust_env=True,
                verify=self._ssl,
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            )
        return pool


@dataclass(frozen=True, slots=True)
class _HttpAnswer:
    """Implements `ProviderAnswer`."""

    answer: httpx.Response

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
        """Close the stream; an unfinished one is cancelled."""
        await self.answer.aclose()


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
