"""One process that looks at words, as seen from the service."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from policy_service.adapters.screening.lists import BrokenLists

LENGTH_BYTES = 4
_WORKER = "policy_service.adapters.screening.worker"
_START_TIMEOUT_S = 60.0
_SHOWN_CHARS = 1000


class ScreeningProcess:
    """A running worker that has read the lists.

    Starting blocks for some seconds. Asking is for one caller at a time, within one event loop, and
    leaves the process unusable when it does not come to its end.

    Args:
        content: Compliance's lists.

    Raises:
        BrokenLists: They cannot be used; the message says why.
        OSError: The process did not come up.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        """Start the process and wait until it is ready."""
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own module and interpreter
                [sys.executable, "-P", "-m", _WORKER, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                # A traceback could hold the words it stumbled over.
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # Ctrl-C is for the service, which may still have calls to screen.
                start_new_session=True,
            )
        try:
            fault = self._begin(content)
        except BaseException:
            self.kill()
            raise
        if fault:
            self.kill()
            raise BrokenLists(fault[:_SHOWN_CHARS])

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    async def ask(self, question: bytes) -> bytes:
        """The worker's answer.

        Raises:
            OSError: The process is gone.
            EOFError: The process went before it answered.
        """
        if self._streams is None:
            self._streams = await asyncio.open_unix_connection(sock=self._socket)
        reader, writer = self._streams
        writer.write(len(question).to_bytes(LENGTH_BYTES) + question)
        await writer.drain()
        return await reader.readexactly(int.from_bytes(await reader.readexactly(LENGTH_BYTES)))

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.wait()
        if self._streams is None:
            self._socket.close()
        else:
            self._streams[1].close()

    def _begin(self, content: Mapping[str, Any]) -> str:
        """Send the lists; returns what is wrong with them."""
        first = msgspec.json.encode(content)
        self._socket.settimeout(_START_TIMEOUT_S)
        with self._socket.makefile("rwb") as stream:
            stream.write(len(first).to_bytes(LENGTH_BYTES) + first)
            stream.flush()
            head = stream.read(LENGTH_BYTES)
            if len(head) < LENGTH_BYTES:
                raise ConnectionError("the screening process ended")
            fault = stream.read(int.from_bytes(head)).decode(errors="replace")
        self._socket.setblocking(False)
        return fault
