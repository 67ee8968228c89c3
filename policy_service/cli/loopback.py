"""Waits on this machine for the browser to come back from an identity provider.

Source:
    https://www.rfc-editor.org/rfc/rfc8252 sections 7.3 and 8 (checked 2026-11-21)
"""

import hmac
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

_PATH = "/callback"
_CONNECTION_TIMEOUT_S = 5.0
_MOST_TOLD = 200
_DONE = "You are signed in. You can close this page and go back to the terminal."
_REFUSED = "You are not signed in. The terminal says why; you can close this page."
_FOREIGN = "This page belongs to no sign-in that is under way."


@dataclass(frozen=True, slots=True)
class Answer:
    """What the identity provider sent the browser back with: one of the two.

    Args:
        code: To be exchanged for tokens.
        error: Why there is none.
        issuer: Who says so, where the provider tells it (RFC 9207).
    """

    code: str | None
    error: str | None
    issuer: str | None


class Loopback:
    """A server on a free port of 127.0.0.1 that takes one answer; use it in a `with`.

    Args:
        state: What was sent to the provider, and has to come back.
    """

    def __init__(self, state: str) -> None:
        self._server = _Server(state)
        self.redirect_uri = f"http://127.0.0.1:{self._server.server_port}{_PATH}"

    def __enter__(self) -> Self:
        """It listens since it was made."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening."""
        self._server.server_close()

    def wait(self, timeout_s: float) -> Answer | None:
        """The answer with our state; `None` when none came in time. Others are turned away."""
        deadline = time.monotonic() + timeout_s
        while self._server.answer is None:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return None
            self._server.timeout = left_s
            self._server.handle_request()
        return self._server.answer


class _Server(HTTPServer):
    def __init__(self, state: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.state = state
        self.answer: Answer | None = None


class _Handler(BaseHTTPRequestHandler):
    # A connection that says nothing must not keep the answer waiting.
    timeout = _CONNECTION_TIMEOUT_S

    def do_GET(self) -> None:
        """Take the answer, if it is one."""
        server = self.server
        assert isinstance(server, _Server)  # noqa: S101 - for the type
        address = urlsplit(self.path)
        given = {name: values[0] for name, values in parse_qs(address.query).items()}
        is_ours = hmac.compare_digest(given.get("state", "").encode(), server.state.encode())
        if address.path != _PATH or not is_ours or server.answer is not None:
            self._say(HTTPStatus.BAD_REQUEST, _FOREIGN)
            return
        code, error = given.get("code"), given.get("error")
        if code is None and error is None:
            self._say(HTTPStatus.BAD_REQUEST, _FOREIGN)
            return
        if error is not None:
            told = given.get("error_description", "")[:_MOST_TOLD]
            error = f"{error[:_MOST_TOLD]} {told}".strip()
        server.answer = Answer(None if error else code, error, given.get("iss"))
        self._say(HTTPStatus.OK, _REFUSED if error else _DONE)

    def log_message(self, *_: object) -> None:
        """Stay silent: the path holds the code."""

    def _say(self, status: HTTPStatus, sentence: str) -> None:
        body = sentence.encode()
        self.send_response(status)
        self.send_header("content-type", "text/plain; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.send_header("cache-control", "no-store")
        self.send_header("referrer-policy", "no-referrer")
        self.end_headers()
        self.wfile.write(body)
