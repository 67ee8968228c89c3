"""Posts to an address over HTTP, signed where there is a secret."""

import time

import httpx

from policy_service.adapters.sinks.webhook import signature
from policy_service.ports.incidents import ChannelFailed

_FAULTS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeError)


class Poster:
    """Any answer of 2xx means that it was taken; redirects are not followed.

    With a secret, `x-gatehouse-signature` is `t=<unix seconds>,v1=<hex>`: HMAC-SHA-256 over the
    seconds, a full stop and the body. Whoever receives it refuses old times.

    Args:
        url: Where to; never logged, because such addresses hold secrets.
        secret: Signs; `None`: nothing is signed.
        timeout_s: Longest wait for an answer.
    """

    def __init__(self, url: str, secret: str | None = None, timeout_s: float = 10.0) -> None:
        self._url = url
        self._secret = None if secret is None else secret.encode()
        self._client = httpx.AsyncClient(timeout=timeout_s, follow_redirects=False, trust_env=True)

    async def post(self, body: bytes, notice_id: str | None = None) -> None:
        """Post JSON once.

        Args:
            body: Its bytes.
            notice_id: Told in `x-gatehouse-notice-id`: the same when it is sent again.

        Raises:
            ChannelFailed: It was not taken.
        """
        headers = {"content-type": "application/json"}
        if notice_id is not None:
            headers["x-gatehouse-notice-id"] = notice_id
        if self._secret is not None:
            headers["x-gatehouse-signature"] = signature(self._secret, int(time.time()), body)
        try:
            answer = await self._client.post(self._url, content=body, headers=headers)
        except _FAULTS as fault:
            raise ChannelFailed(f"it could not be reached ({type(fault).__name__})") from fault
        if not answer.is_success:
            raise ChannelFailed(f"it answered {answer.status_code}")

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.aclose()
