"""Everything Kong knows about one request, from its first byte to its log line."""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from devkong.entities import Consumer, KeyCredential, Route, Service
from devkong.headers import Headers
from devkong.routing import Match

ACCESS, RESPONSE, LOG, ERROR = "access", "response", "log", "error"

BUFFERED = "buffered_proxying"
"""The field of `ngx.ctx` that decides whether the answer is buffered."""


@dataclass(slots=True)
class ClientRequest:
    """What the client sent. Plugins change it in place, and later plugins see the change.

    Attributes:
        uri: Path and query as sent; stays what it was.
        path: As sent, without the query.
        query: Without `?`; `""` when there is none.
        is_spooled: The body was longer than nginx' buffer and lies "on disk".
        size_bytes: Head and body as received.
    """

    method: str
    uri: str
    path: str
    query: str
    headers: Headers
    body: bytes
    http_version: str
    client_ip: str
    client_port: int
    server_port: int
    is_spooled: bool = False
    size_bytes: int = 0

    @property
    def host(self) -> str:
        """The Host header without its port, lower-case; `""` when none was sent."""
        host = (self.headers.first("host") or "").lower()
        if host.startswith("["):
            return host.partition("]")[0] + "]"
        return host.partition(":")[0]


@dataclass(slots=True)
class Target:
    """Where the request will be proxied to, as plugins may change it.

    Attributes:
        host_header: `None` until the route or a plugin has set it; then host and port of the
            service are used.
    """

    scheme: str = "http"
    host: str = ""
    port: int = 80
    path: str = "/"
    host_header: str | None = None
    retries: int = 0
    connect_timeout_s: float = 60.0
    read_timeout_s: float = 60.0


@dataclass(slots=True)
class Latencies:
    """Milliseconds, as Kong's latency headers and log record have them; `None`: not reached."""

    proxy_ms: int | None = None
    waiting_ms: int | None = None
    response_ms: int | None = None
    receive_ms: int | None = None


@dataclass(slots=True)
class Context:
    """One request's state.

    Attributes:
        phase: The phase that runs now.
        ngx_ctx: `ngx.ctx`, as far as plugins may see it.
        shared: `kong.ctx.shared`.
        status: The status the client will get; 0 before anything is known.
        headers: The headers the client will get.
        upstream_body: The buffered answer; `None` while nothing was buffered.
        has_exited: `kong.response.exit` was called, by a plugin or by Kong.
        is_proxied: Kong went as far as the upstream.
        is_unexpected: nginx' own error page answered.
        record: The log record, made before the log phases run.
        ended_by: The exit or the error that ended a phase early.
    """

    request: ClientRequest
    started_at: float = field(default_factory=time.time)
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    phase: str = ACCESS
    match: Match | None = None
    target: Target = field(default_factory=Target)
    ngx_ctx: dict[Any, Any] = field(default_factory=dict)
    shared: dict[Any, Any] = field(default_factory=dict)
    consumer: Consumer | None = None
    credential: KeyCredential | None = None
    consumer_record: Mapping[str, Any] | None = None
    credential_record: Mapping[str, Any] | None = None
    plugin_name: str = "core"
    status: int = 0
    headers: Headers = field(default_factory=Headers)
    upstream_status: int | None = None
    upstream_headers: Headers | None = None
    upstream_body: bytes | None = None
    has_exited: bool = False
    is_proxied: bool = False
    is_unexpected: bool = False
    latencies: Latencies = field(default_factory=Latencies)
    tries: list[dict[str, Any]] = field(default_factory=list)
    bytes_sent: int = 0
    record: str | None = None
    ended_by: Exception | None = None

    @property
    def route(self) -> Route | None:
        """The matched route."""
        return self.match.route if self.match else None

    @property
    def service(self) -> Service | None:
        """The service of the matched route."""
        return self.match.route.service if self.match else None

    @property
    def is_buffered(self) -> bool:
        """Whether the answer is to be collected before it is passed on."""
        return bool(self.ngx_ctx.get(BUFFERED))

    @property
    def source(self) -> str:
        """Where the answer came from: `error`, `exit` or `service`."""
        if self.is_unexpected:
            return "error"
        if self.has_exited:
            return "exit"
        return "service" if self.is_proxied else "error"

    def elapsed_ms(self) -> int:
        """Whole milliseconds since the request came in."""
        return round((time.time() - self.started_at) * 1000)

    def set_consumer(self, consumer: Consumer | None, credential: KeyCredential | None) -> None:
        """Record whom an authentication plugin has recognised."""
        self.consumer, self.credential = consumer, credential
        self.consumer_record = consumer.as_record() if consumer else None
        self.credential_record = credential.as_record() if credential else None
