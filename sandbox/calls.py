"""Remembers what was received, so that a test can prove what did and did not reach a provider."""

import hashlib
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

_CREDENTIALS = frozenset(
    {"authorization", "api-key", "x-api-key", "x-goog-api-key", "proxy-authorization", "cookie"}
)


class Ended(StrEnum):
    """How far an answer came."""

    OPEN = "open"
    COMPLETE = "complete"
    CUT = "cut"
    """By the sandbox itself, on demand."""
    CLIENT_GONE = "client_gone"


@dataclass(slots=True)
class Call:
    """One received call. No credential is kept, only whether it was a good one.

    Args:
        number: Counts from 1 since the process started.
        model: As asked, wishes included.
        header_names: Without those that carry credentials.
        body_digest: SHA-256 of the body's bytes.
        messages: As received, Anthropic's `system` apart in `parameters`.
        parameters: The rest of the body.
        status: What was answered.
        sent_events: Parts of the answer handed to the network.
        traceparent: The trace that the call is said to belong to.
        usage: What the whole answer says about tokens, in the vendor's words; kept where calls are
            recorded, whether it was told or not.
    """

    number: int
    provider: str
    path: str
    query: dict[str, str]
    header_names: list[str]
    body_digest: str
    body_bytes: int
    is_credential_ok: bool = False
    model: str = ""
    is_streaming: bool = False
    messages: Any = None
    parameters: dict[str, Any] = field(default_factory=dict)
    received_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    status: int | None = None
    sent_events: int = 0
    ended: Ended = Ended.OPEN
    traceparent: str | None = None
    usage: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """For the control endpoint."""
        return asdict(self)


class Calls:
    """The latest calls, bounded in number and in bytes of their bodies.

    Args:
        most: Calls remembered.
        most_bytes: Bytes of their bodies in all; the oldest go first.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._calls: deque[Call] = deque()
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._received = 0

    def add(
        self,
        *,
        provider: str,
        path: str,
        query: Mapping[str, str],
        header_names: Iterable[str],
        body: bytes,
        traceparent: str | None = None,
    ) -> Call:
        """Remember a call; the rest is filled in as it becomes known."""
        self._received += 1
        call = Call(
            number=self._received,
            provider=provider,
            path=path,
            query=dict(query),
            header_names=sorted({name.lower() for name in header_names} - _CREDENTIALS),
            body_digest=hashlib.sha256(body).hexdigest(),
            body_bytes=len(body),
            traceparent=traceparent,
        )
        self._calls.append(call)
        self._bytes += len(body)
        while self._calls and (len(self._calls) > self._most or self._bytes > self._most_bytes):
            self._bytes -= self._calls.popleft().body_bytes
        return call

    def clear(self) -> int:
        """Forget all; gives how many there were. Numbers go on."""
        forgotten = len(self._calls)
        self._calls.clear()
        self._bytes = 0
        return forgotten

    def listing(self) -> list[dict[str, Any]]:
        """The remembered calls, oldest first."""
        return [call.as_json() for call in self._calls]
