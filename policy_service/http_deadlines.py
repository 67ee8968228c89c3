"""uvicorn's HTTP for clients that take their time: every request comes to its end, or is ended.

uvicorn waits for ever for the rest of a request's head, and for a body that nobody reads. Who opens
many connections and says a byte a minute on each would hold them all. A body that somebody reads
has its deadline in `policy_service.api.bodies`, where it is answered as any other failure is.

Source:
    https://github.com/encode/uvicorn/blob/master/uvicorn/protocols/http/httptools_impl.py
    (checked 2026-11-30)
"""

import asyncio
from typing import Any

import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from llm_core.errors import GatewayError, HeadTooLarge, RequestTimeout, error_body

MOST_HEAD_BYTES = 64 * 1024
"""Of a request's line and headers, beyond the first piece that is read of them."""


class DeadlinedHttp(HttpToolsProtocol):
    """A connection on which a request has to come whole in time, and its head in some bytes.

    Args:
        request_timeout_s: From the connection's beginning, or a later request's, to its last byte.
            While an endpoint is at work on the request, it is the endpoint's to wait for the body.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        request_timeout_s: float,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._request_timeout_s = request_timeout_s
        self._deadline: asyncio.TimerHandle | None = None
        self._is_in_head = False
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request, but not for ever."""
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse it, and go on unless that leaves a head open that is too long."""
        self._expect()
        head = self.headers if self._is_in_head else None
        super().data_received(data)
        if self._is_in_head and self.headers is head:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                told = f"The request's headers have more than {MOST_HEAD_BYTES} bytes."
                self._hang_up(HeadTooLarge(told))

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._is_in_head, self._head_bytes = True, 0
        self._expect_nothing()  # one that was answered before it was whole leaves its time running
        self._expect()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; what comes after a body is none, and would stand among them."""
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._is_in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is there; uvicorn waits for the next one, unless its answer was first."""
        if self.cycle is None or not self.cycle.response_complete:  # type: ignore[redundant-expr]
            self._expect_nothing()
        super().on_message_complete()

    def _expect(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self._request_timeout_s, self._give_up)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if self.cycle is not None and not self.cycle.response_complete:  # type: ignore[redundant-expr]
            self._expect()  # an answer is under way
        elif self._is_in_head:
            told = f"The request's headers did not come within {self._request_timeout_s:g} s."
            self._hang_up(RequestTimeout(told))
        else:
            self.transport.close()  # nothing was asked, or it was answered without its body

    def _hang_up(self, error: GatewayError) -> None:
        if self.cycle is not None and not self.cycle.response_complete:  # type: ignore[redundant-expr]
            self.transport.close()  # another answer is under way
            return
        body = msgspec.json.encode(error_body(error))
        head = (
            b"content-type: application/json\r\n"
            b"content-length: %d\r\n"
            b"connection: close\r\n\r\n" % len(body)
        )
        self.transport.write(STATUS_LINE[error.http_status] + head + body)
        self.transport.close()
