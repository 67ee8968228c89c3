"""The ways between parts, as TCP connections that can be slowed, cut off and silenced."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

_PIECE_BYTES = 65536
_HOST = "127.0.0.1"


class Wire:
    """Listens on a port, and passes on what comes to one of several targets in turn.

    A target that takes no connection is passed over, as a load balancer does; one that takes it and
    hangs is not noticed.

    Args:
        targets: Ports.
        port: Where it listens; the same for its whole life.
    """

    def __init__(self, targets: Sequence[int], port: int) -> None:
        self._targets = list(targets)
        self.port = port
        self._turn = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._passes = asyncio.Event()
        self._passes.set()
        self._slowed_s = 0.0
        self._is_cut = False

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._take, _HOST, self.port)

    async def stop(self) -> None:
        """Break everything off."""
        if self._server is not None:
            self._server.close()
            serving = list(self._serving)
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)

    def cut(self) -> None:
        """Break every connection, and each new one at once."""
        self._is_cut = True
        self._break()

    def silence(self) -> None:
        """Keep all connections, and hold back whatever comes."""
        self._passes.clear()

    def slow(self, by_s: float) -> None:
        """Let every piece come later."""
        self._slowed_s = by_s

    def mend(self) -> None:
        """All is well again; what was held back comes through."""
        self._is_cut, self._slowed_s = False, 0.0
        self._passes.set()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self._passes.wait()
            if self._is_cut:
                return
            opened = await self._connected()
            if opened is None:
                return
            far_reader, far_writer = opened
            self._writers.add(far_writer)
            try:
                await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
            finally:
                self._let_go(far_writer)
        except OSError:
            pass
        finally:
            self._let_go(writer)

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for _ in self._targets:
            self._turn += 1
            with suppress(OSError):
                return await asyncio.open_connection(
                    _HOST, self._targets[self._turn % len(self._targets)]
                )
        return None

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on until the one side ends; that end is passed on, too."""
        try:
            while piece := await reader.read(_PIECE_BYTES):
                if self._slowed_s:
                    await asyncio.sleep(self._slowed_s)
                await self._passes.wait()
                writer.write(piece)
                await writer.drain()
            await self._passes.wait()
            if not writer.is_closing():
                writer.write_eof()
        except OSError:
            writer.transport.abort()

    def _break(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def _let_go(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        writer.transport.abort()
