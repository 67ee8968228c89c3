"""Runs the sandbox: as a process of its own, or inside a test."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from sandbox.app import create_app
from sandbox.settings import SandboxSettings

_BACKLOG = 2048
_KEEP_ALIVE_S = 60
"""As vendors do, longer than who asks keeps a connection: else a call can meet its end."""

_GRACE_S = 1
"""How long open answers may go on at the end: a hanging one would go on for ever."""


def serve(
    settings: SandboxSettings, *, host: str, port: int, on_ready: Callable[[str], None]
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        settings: Options.
        host: Address to listen on.
        port: 0 takes a free one.
        on_ready: Called with the base URL when connections are taken.
    """
    listener = _listener(host, port)
    _Server(settings, lambda: on_ready(_url(listener))).run(sockets=[listener])


@contextmanager
def running(settings: SandboxSettings | None = None) -> Iterator[str]:
    """Serve on a free port of 127.0.0.1 in a thread; gives the base URL."""
    listener = _listener("127.0.0.1", 0)
    is_ready = threading.Event()
    server = _Server(settings or SandboxSettings(), is_ready.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        if not is_ready.wait(30):
            raise RuntimeError("the sandbox did not start within 30 s")
        yield _url(listener)
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()


class _Server(uvicorn.Server):
    def __init__(self, settings: SandboxSettings, on_ready: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                create_app(settings),
                loop="uvloop",
                http="httptools",
                ws="none",
                lifespan="off",
                access_log=False,
                log_level="critical",  # a dropped connection is no error here
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=_GRACE_S,
                server_header=False,
            )
        )
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets)
        self._on_ready()


def _listener(host: str, port: int) -> socket.socket:
    listener = socket.create_server((host, port), backlog=_BACKLOG)
    listener.setblocking(False)
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{host}:{port}"
