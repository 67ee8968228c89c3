"""HTTP/1.1 towards the client: a small asyncio protocol around httptools.

A request is handed on once its body is complete, as nginx does it with request buffering. The
`Responder` writes straight to the transport, so a chunk of a stream leaves in the same turn of the
event loop in which it came, and it says at once when the client has gone.
"""

import asyncio
import email.utils
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, cast

import httptools

from devkong.context import ClientRequest
from devkong.headers import Headers, header_block
from devkong.pdk.response import JSON_TYPE, error_body

MAX_HEAD_BYTES = 64 * 1024

_NO_BODY = {204, 304}
_OWN_HEADERS = {"connection", "transfer-encoding", "keep-alive"}

_log = logging.getLogger("devkong.http")

Handler = Callable[[ClientRequest, "Responder"], Awaitable[None]]


class Responder:
    """Writes one response."""

    def __init__(self, transport: asyncio.Transport, request: ClientRequest, *, keep: bool) -> None:
        self._transport = transport
        self._is_head = request.method == "HEAD"
        self._is_old = request.http_version == "1.0"
        self._is_chunked = False
        self.is_kept = keep
        self.has_started = False
        self.has_finished = False
        self.is_gone = False
        self.bytes_sent = 0
        self.on_gone: Callable[[], None] | None = None
        self.on_pause: Callable[[], None] | None = None
        self.on_resume: Callable[[], None] | None = None

    def send(self, status: int, headers: Headers, body: bytes) -> None:
        """Write a whole response."""
        if status not in _NO_BODY and "content-length" not in headers:
            headers.replace("Content-Length", [str(len(body))])
        head = self._head(status, headers)
        self._write(head if self._is_head or status in _NO_BODY else head + body)
        self.has_finished = True

    def start(self, status: int, headers: Headers) -> None:
        """Write the head of a streamed response."""
        has_body = not self._is_head and status not in _NO_BODY
        self._is_chunked = has_body and "content-length" not in headers and not self._is_old
        if has_body and "content-length" not in headers and self._is_old:
            self.is_kept = False
        self._write(self._head(status, headers))

    def write(self, chunk: bytes) -> None:
        """Write a piece of a streamed response's body."""
        if self._is_head or not chunk:
            return
        self._write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if self._is_chunked else chunk)

    def finish(self) -> None:
        """End a streamed response."""
        if self._is_chunked:
            self._write(b"0\r\n\r\n")
        self.has_finished = True

    def abort(self) -> None:
        """Break the connection: the client must not take what it has for the whole."""
        self.is_kept = False
        self._transport.abort()

    def _head(self, status: int, headers: Headers) -> bytes:
        self.has_started = True
        lines = [pair for pair in headers.pairs() if pair[0].lower() not in _OWN_HEADERS]
        if "date" not in headers:
            lines.append(("Date", _date()))
        if self._is_chunked:
            lines.append(("Transfer-Encoding", "chunked"))
        lines.append(("Connection", "keep-alive" if self.is_kept else "close"))
        reason = HTTPStatus(status).phrase if status in _STATUSES else "Unknown"
        return b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, reason.encode(), header_block(lines))

    def _write(self, data: bytes) -> None:
        self.bytes_sent += len(data)
        if not self.is_gone:
            self._transport.write(data)


class HttpConnection(asyncio.Protocol):
    """One client connection; requests on it are answered one after the other.

    Args:
        handler: Answers a request.
        body_buffer_bytes: Longer bodies count as spooled to disk.
        max_body_bytes: Longer bodies are refused with 413; 0 is no limit.
        tasks: Holds the tasks under way.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        body_buffer_bytes: int,
        max_body_bytes: int,
        tasks: set[asyncio.Task[None]],
    ) -> None:
        self._handler = handler
        self._body_buffer_bytes = body_buffer_bytes
        self._max_body_bytes = max_body_bytes
        self._tasks = tasks
        self._transport: asyncio.Transport | None = None
        self._parser: Any = httptools.HttpRequestParser(self)
        self._peer: tuple[Any, ...] = ("127.0.0.1", 0)
        self._port = 0
        self._waiting: deque[tuple[ClientRequest, bool]] = deque()
        self._responder: Responder | None = None
        self._is_refused = False
        self._size_bytes = 0
        self.on_message_begin()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        # uvloop's transports are none by inheritance.
        self._transport = cast("asyncio.Transport", transport)
        self._peer = transport.get_extra_info("peername") or self._peer
        self._port = (transport.get_extra_info("sockname") or ("", 0))[1]

    def data_received(self, data: bytes) -> None:
        """Take what came in."""
        if self._is_refused:
            return
        self._size_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._refuse(400)
            return
        if not self._is_head_complete and self._size_bytes > MAX_HEAD_BYTES:
            self._refuse(431)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end of the connection."""
        self._waiting.clear()
        responder = self._responder
        if responder is not None:
            responder.is_gone = True
            if responder.on_gone is not None:
                responder.on_gone()

    def pause_writing(self) -> None:
        """The client is slower than the upstream."""
        if self._responder is not None and self._responder.on_pause is not None:
            self._responder.on_pause()

    def resume_writing(self) -> None:
        """The client has caught up."""
        if self._responder is not None and self._responder.on_resume is not None:
            self._responder.on_resume()

    def on_message_begin(self) -> None:
        """Start a new request."""
        self._url = b""
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._is_head_complete = False

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header."""
        pair = (_text(name), _text(value))
        self._headers.append(pair)
        if name.lower() == b"expect" and value.lower() == b"100-continue" and self._transport:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_headers_complete(self) -> None:
        """Take the end of the head."""
        self._is_head_complete = True

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._body_bytes += len(body)
        if self._max_body_bytes and self._body_bytes > self._max_body_bytes:
            self._refuse(413)
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """Take the end of the message."""
        if self._is_refused:
            return
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        uri = _text(self._url)
        if not uri.startswith("/"):  # absolute form: http://host/path
            uri = "/" + uri.partition("://")[2].partition("/")[2]
        path, _, query = uri.partition("?")
        request = ClientRequest(
            method=self._parser.get_method().decode("ascii"),
            uri=uri,
            path=path,
            query=query,
            headers=Headers(self._headers),
            body=body,
            http_version=self._parser.get_http_version(),
            client_ip=str(self._peer[0]),
            client_port=int(self._peer[1]),
            server_port=self._port,
            is_spooled=len(body) > self._body_buffer_bytes,
            size_bytes=self._size_bytes,
        )
        self._size_bytes = 0
        self._waiting.append((request, bool(self._parser.should_keep_alive())))
        if self._responder is None:
            self._next()

    def _next(self) -> None:
        if not self._waiting or self._transport is None:
            return
        request, keep = self._waiting.popleft()
        self._responder = Responder(self._transport, request, keep=keep)
        task = asyncio.get_running_loop().create_task(self._answer(request, self._responder))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, request: ClientRequest, responder: Responder) -> None:
        try:
            await self._handler(request, responder)
        except Exception:  # noqa: BLE001 - the last line of defence: one request, not the gateway
            _log.exception("%s %s failed inside devkong", request.method, request.path)
        self._responder = None
        if responder.is_gone:
            return
        if not responder.has_finished:
            self._refuse(500) if not responder.has_started else responder.abort()
        elif responder.is_kept:
            self._next()
        elif self._transport is not None:
            self._transport.close()

    def _refuse(self, status: int) -> None:
        """Answer with Kong's error body and close."""
        self._is_refused = True
        if self._transport is None or self._transport.is_closing():
            return
        body = error_body(status, "")
        lines = [("Content-Type", JSON_TYPE), ("Content-Length", str(len(body)))]
        head = b"HTTP/1.1 %d %b\r\n" % (status, HTTPStatus(status).phrase.encode())
        self._transport.write(
            head + header_block([*lines, ("Connection", "close")]) + b"\r\n" + body
        )
        self._transport.close()


_STATUSES = {status.value for status in HTTPStatus}
_date_cache = (0, "")


def _date() -> str:
    global _date_cache  # noqa: PLW0603 - one formatted date a second is enough
    now = int(time.time())
    if _date_cache[0] != now:
        _date_cache = (now, email.utils.formatdate(now, usegmt=True))
    return _date_cache[1]


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
