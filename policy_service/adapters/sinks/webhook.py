"""Ships to a webhook: batches of JSON Lines, signed, one after another."""

import hmac
import time
from collections.abc import Sequence

import httpx
import msgspec

from llm_core.audit.event import Checkpoint, Event
from policy_service.ports.audit import SinkUnavailable

_TIMEOUT_S = 10.0
_FAULTS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeError)


class WebhookSink:
    """Implements `ports.audit.Sink`. Any answer of 2xx means that the batch was taken.

    `x-gatehouse-signature` is `t=<unix seconds>,v1=<hex>`: HMAC-SHA-256 with the shared secret over
    the seconds, a full stop and the body. Whoever receives it refuses old times.

    Args:
        name: For the log.
        url: Where to; never logged, because such addresses hold secrets.
        secret: Signs.
    """

    def __init__(self, name: str, url: str, secret: str) -> None:
        self.name = name
        self._url = url
        self._secret = secret.encode()
        self._client = httpx.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False)

    async def send(self, lines: Sequence[Event | Checkpoint]) -> None:
        """Post them; see the port."""
        body = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
        headers = {
            "content-type": "application/x-ndjson",
            "x-gatehouse-signature": signature(self._secret, int(time.time()), body),
        }
        try:
            answer = await self._client.post(self._url, content=body, headers=headers)
        except _FAULTS as fault:
            raise SinkUnavailable(f"it cannot be reached ({type(fault).__name__})") from fault
        if not answer.is_success:
            raise SinkUnavailable(f"it answered {answer.status_code}")

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.aclose()


def signature(secret: bytes, at_s: int, body: bytes) -> str:
    """What `x-gatehouse-signature` says."""
    signed = hmac.digest(secret, f"{at_s}.".encode() + body, "sha256").hex()
    return f"t={at_s},v1={signed}"
