"""The address at which Prometheus scrapes a plugin server.

It answers whatever is asked with the page, and closes. When Kong reloads, the server before may
still hold the address: it is tried again until it is free. Calls never wait for any of this.
"""

import asyncio
import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_AGAIN_S: Final = 1.0
_LONGEST_S: Final = 5.0
_MOST_BYTES: Final = 16 * 1024
_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_log = logging.getLogger(__name__)


class Scraped:
    """Serves a registry over HTTP, on the event loop that is running.

    Args:
        address: Host and port.
        registry: What is told.
    """

    def __init__(self, address: tuple[str, int], registry: "CollectorRegistry") -> None:
        self._host, self._port = address
        self._registry = registry
        self._listening: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Listen as soon as the address is free."""
        self._listening = asyncio.get_running_loop().create_task(self._listen())

    async def close(self) -> None:
        """Listen no more."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)

    async def _listen(self) -> None:
        is_told = False
        while True:
            try:
                server = await asyncio.start_server(
                    self._answer, self._host, self._port, limit=_MOST_BYTES
                )
            except OSError as fault:
                if not is_told:
                    _log.warning("metrics wait for %s:%d: %s", self._host, self._port, fault)
                is_told = True
                await asyncio.sleep(_AGAIN_S)
            else:
                async with server:
                    await server.serve_forever()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from prometheus_client.exposition import generate_latest  # noqa: PLC0415 - see `measures`

        try:
            async with asyncio.timeout(_LONGEST_S):
                await reader.readuntil(b"\r\n\r\n")
                page = generate_latest(self._registry)
                head = (
                    f"HTTP/1.1 200 OK\r\ncontent-type: {_TYPE}\r\n"
                    f"content-length: {len(page)}\r\nconnection: close\r\n\r\n"
                )
                writer.write(head.encode() + page)
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever it was gets no page
        finally:
            writer.close()
