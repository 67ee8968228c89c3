"""Sending a request on: nginx' headers, Kong's retries."""

import logging
import time
from collections.abc import Iterator

from devkong.context import Context
from devkong.errors import UpstreamFailure
from devkong.headers import Headers, header_block
from devkong.http_client import Address, Exchange, UpstreamPool
from devkong.http_server import Responder
from devkong.version import VIA

HOP_BY_HOP = {
    "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding",
    "upgrade", "proxy-authenticate",
}  # fmt: skip
_OWN = HOP_BY_HOP | {
    "host", "content-length", "expect", "x-real-ip", "x-forwarded-for", "x-forwarded-proto",
    "x-forwarded-host", "x-forwarded-port", "x-forwarded-path", "x-forwarded-prefix",
    "x-kong-request-id", "via",
}  # fmt: skip
NAME_NOT_RESOLVED = 503
"""The status of a failure before there was anything to try."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_NOT_IDEMPOTENT = {"POST", "LOCK", "PATCH"}

_log = logging.getLogger("devkong.proxy")


class Proxy:
    """Talks to upstreams."""

    def __init__(self) -> None:
        self._pool = UpstreamPool()

    async def send(self, context: Context, responder: Responder | None) -> Exchange:
        """Send the request and wait for the head of the answer.

        A try that failed is repeated as nginx does it: always when the connection could not be
        made, and after that only when the method may be repeated and no answer had begun.

        Args:
            context: Says where to and what.
            responder: Its client's going away cancels the exchange; `None` when Kong would go on
                (buffering).

        Raises:
            UpstreamFailure: No answer; `status` says what the client gets.
            ClientGone: The client went away first.
        """
        message = _message(context)
        left = context.target.retries
        while True:
            attempt = {
                "balancer_start": round(time.time() * 1000),
                "balancer_latency": 0,
                "ip": context.target.host,
                "port": context.target.port,
            }
            context.tries.append(attempt)
            try:
                return await self._try(context, responder, message)
            except UpstreamFailure as failure:
                if failure.status == NAME_NOT_RESOLVED:
                    context.tries.clear()
                if not (failure.is_retryable and left):
                    raise
                attempt |= {"state": "failed", "code": failure.status}
                left -= 1

    async def _try(self, context: Context, responder: Responder | None, message: bytes) -> Exchange:
        target, method = context.target, context.request.method
        exchange = await self._pool.open(
            _address(context),
            is_head=method == "HEAD",
            connect_timeout_s=target.connect_timeout_s,
            read_timeout_s=target.read_timeout_s,
        )
        if context.latencies.proxy_ms is None:
            context.latencies.proxy_ms = context.elapsed_ms()
        if responder is not None:
            responder.on_gone = exchange.cancel
            if responder.is_gone:
                exchange.cancel()
        try:
            exchange.send(message)
            await exchange.head()
        except UpstreamFailure as failure:
            exchange.release()
            failure.is_retryable = failure.is_retryable and method not in _NOT_IDEMPOTENT
            raise
        except BaseException:
            exchange.release()
            raise
        return exchange

    def done(self, context: Context, exchange: Exchange) -> None:
        """End an exchange; its connection is kept when it is still good."""
        self._pool.put_back(_address(context), exchange)

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()


def passed_on(upstream: Headers) -> Iterator[tuple[str, str]]:
    """An answer's headers without those that belong to one connection."""
    own = {
        token.strip().lower()
        for value in upstream.values_of("connection")
        for token in value.split(",")
    }
    for name, value in upstream.pairs():
        lower = name.lower()
        if lower not in HOP_BY_HOP and lower not in own:
            yield name, value


def _address(context: Context) -> Address:
    target = context.target
    name = (target.host_header or target.host).rpartition(":")[0] or target.host_header
    return Address(target.scheme, target.host, target.port, name or target.host)


def _message(context: Context) -> bytes:
    """The request as it goes to the upstream."""
    target, request = context.target, context.request
    has_query = request.query or request.uri.endswith("?")
    uri = f"{target.path}?{request.query}" if has_query else target.path
    headers = request.headers
    connection = {
        token.strip().lower()
        for value in headers.values_of("connection")
        for token in value.split(",")
    }
    lines = [("Host", _host_header(context)), ("Connection", "keep-alive")]
    lines += _forwarded(context)
    lines += [
        (name, value)
        for name, value in headers.pairs()
        if name.lower() not in _OWN and name.lower() not in connection
    ]
    body = request.body
    if body or "content-length" in headers:
        lines.append(("Content-Length", str(len(body))))
    start = f"{request.method} {uri} HTTP/1.1\r\n".encode("utf-8", "surrogateescape")
    return start + header_block(lines) + b"\r\n" + body


def _host_header(context: Context) -> str:
    """The Host for the upstream: after `set_target` the bare host, unless one was set."""
    target = context.target
    if target.host_header is not None:
        return target.host_header
    if target.port == _DEFAULT_PORTS[target.scheme]:
        return target.host
    return f"{target.host}:{target.port}"


def _forwarded(context: Context) -> list[tuple[str, str]]:
    request = context.request
    chain = [*request.headers.values_of("x-forwarded-for"), request.client_ip]
    lines = [
        ("X-Real-IP", request.client_ip),
        ("X-Forwarded-For", ", ".join(chain)),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Host", request.host),
        ("X-Forwarded-Port", str(request.server_port)),
        ("X-Forwarded-Path", request.path),
        ("X-Kong-Request-Id", context.request_id),
        ("Via", ", ".join([*request.headers.values_of("via"), VIA])),
    ]
    match = context.match
    if match is not None and match.route.strip_path and match.prefix.strip("/"):
        lines.append(("X-Forwarded-Prefix", match.prefix.rstrip("/")))
    return lines
