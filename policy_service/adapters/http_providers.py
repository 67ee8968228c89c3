"""Model providers over HTTP, by httpx: one client with pooled connections for all of them."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import httpx

from llm_core.errors import ProviderError, ProviderTimeout, ProviderUnavailable
from llm_core.providers.translator import ProviderRequest
from policy_service.ports import ProviderAnswer

CONNECT_TIMEOUT_S = 5.0
_FAULTS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict)
"""Every exception of httpx has one of these above it; a contract test holds that."""
_POOL = httpx.Limits(max_connections=1000, max_keepalive_connections=200, keepalive_expiry=30.0)


class HttpProviders:
    """Implements `Providers`.

    Args:
        idle_timeout_s: Longest silence inside a body.
    """

    def __init__(self, idle_timeout_s: float) -> None:
        self._idle_timeout_s = idle_timeout_s
        self._client = httpx.AsyncClient(
            http2=True, limits=_POOL, follow_redirects=False, trust_env=True
        )

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
            sent = self._client.build_request(
                "POST",
                request.url,
                headers={**request.headers, **credential},
                content=request.body,
                timeout=timeout,
            )
            answer = await self._client.send(sent, stream=True)
        except UnicodeError:
            # A credential that no header can carry; the error would quote it.
            raise ProviderUnavailable("The model provider cannot be asked.") from None
        except _FAULTS as fault:
            raise _translated(fault) from fault
        sent.extensions["timeout"]["read"] = self._idle_timeout_s
        return _HttpAnswer(answer)

    async def close(self) -> None:
        """Close the pool."""
        await self._client.aclose()


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
        """The body as it arrives, decompressed."""
        try:
            async for chunk in self.answer.aiter_bytes():
                yield chunk
        except _FAULTS as fault:
            raise _translated(fault) from fault

    async def close(self) -> None:
        """Close the stream; an unfinished one is cancelled."""
        await self.answer.aclose()


def _translated(fault: Exception) -> ProviderError:
    if isinstance(fault, httpx.ConnectTimeout | httpx.PoolTimeout):
        return ProviderUnavailable("The model provider cannot be reached.")
    if isinstance(fault, httpx.TimeoutException):
        return ProviderTimeout("The model provider did not answer in time.")
    if isinstance(fault, httpx.ConnectError | httpx.InvalidURL | httpx.UnsupportedProtocol):
        return ProviderUnavailable("The model provider cannot be reached.")
    return ProviderUnavailable("The connection to the model provider broke.")
