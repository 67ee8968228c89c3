"""Usage reports that could not be delivered: kept on disk, sent again until the service has them.

One line of JSON a report, appended and synced before anything else happens. A report may be sent
twice (the service books a decision once); none is dropped. A line that a crash cut in half is set
aside in `<journal>.unreadable` and logged.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from llm_core.errors import PolicyUnavailable
from llm_core.policy.decision import UsageReport

_log = logging.getLogger(__name__)
Send = Callable[[str, UsageReport], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Waiting:
    """One report that waits."""

    decision_id: str
    report: UsageReport


class Journal:
    """An append-only file of waiting reports; one process writes it.

    Args:
        path: The file; its folder is made when it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, waiting: Waiting) -> None:
        """Keep a report; it is on disk when this returns.

        Raises:
            OSError: It cannot be written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write(msgspec.json.encode(waiting) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def waiting(self) -> list[Waiting]:
        """Everything that waits, oldest first."""
        return [entry for line in self._lines() if (entry := self._read(line)) is not None]

    def forget(self, decision_ids: set[str]) -> None:
        """Drop delivered reports; what was appended meanwhile stays."""
        left = [entry for entry in self.waiting() if entry.decision_id not in decision_ids]
        shorter = self.path.with_suffix(self.path.suffix + ".new")
        with shorter.open("wb") as file:
            file.writelines(msgspec.json.encode(entry) + b"\n" for entry in left)
            file.flush()
            os.fsync(file.fileno())
        shorter.replace(self.path)

    async def deliver(self, send: Send) -> int:
        """Send what waits, oldest first, until the service is down again.

        Returns:
            How many were delivered.
        """
        delivered: set[str] = set()
        for entry in self.waiting():
            try:
                await send(entry.decision_id, entry.report)
            except PolicyUnavailable:
                break
            delivered.add(entry.decision_id)
        if delivered:
            self.forget(delivered)
            _log.info("%d waiting usage reports were delivered", len(delivered))
        return len(delivered)

    async def keep_delivering(self, send: Send, every_s: float) -> None:
        """Deliver what waits, for ever."""
        while True:
            try:
                await self.deliver(send)
            except OSError as fault:
                _log.error("the usage journal %s cannot be read: %s", self.path, fault)
            await asyncio.sleep(every_s)

    def _lines(self) -> list[bytes]:
        try:
            return self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return []

    def _read(self, line: bytes) -> Waiting | None:
        try:
            return msgspec.json.decode(line, type=Waiting)
        except (msgspec.DecodeError, UnicodeDecodeError):
            aside = self.path.with_suffix(self.path.suffix + ".unreadable")
            with aside.open("ab") as file:
                file.write(line + b"\n")
            _log.error("a line of the usage journal cannot be read; it now stands in %s", aside)
            return None
