"""Ships to a file of JSON Lines; whatever rotates it may rename it at any time."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from llm_core.audit.event import Checkpoint, Event
from policy_service.ports.audit import SinkUnavailable


class FileSink:
    """Implements `ports.audit.Sink`: appends, and has the disk keep it before more is sent."""

    def __init__(self, name: str, path: Path) -> None:
        """Append to `path`, which is opened anew each time."""
        self.name = name
        self._path = path

    async def send(self, lines: Sequence[Event | Checkpoint]) -> None:
        """Append the lines; see the port."""
        text = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
        try:
            await asyncio.to_thread(self._append, text)
        except OSError as fault:
            raise SinkUnavailable(fault.strerror or type(fault).__name__) from fault

    async def close(self) -> None:
        """Nothing stays open."""

    def _append(self, text: bytes) -> None:
        with self._path.open("a+b") as file:
            size = file.seek(0, os.SEEK_END)
            if size and not self._ends_whole(size):
                file.write(b"\n")  # a disk that was full may have taken half a line
            file.write(text)
            file.flush()
            os.fsync(file.fileno())

    def _ends_whole(self, size: int) -> bool:
        with self._path.open("rb") as file:
            file.seek(size - 1)
            return file.read(1) == b"\n"
