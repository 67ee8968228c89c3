"""Usage reports that could not be delivered: kept on disk, sent again until the service has them.

One line of JSON a report, appended and synced before anything else happens. A report may be sent
twice (the service books a decision once); none is dropped. A line that a crash cut in half is set
aside in `<journal>.unreadable` and logged.

Every plugin instance of a route has its own `Journal` on the same file, and while Kong reloads so
do two processes: who changes the file holds a lock beside it, `<journal>.lock`.
"""

import asyncio
import fcntl
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from kong_plugins._runtime import measures
from kong_plugins.llm_token_meter.journal_gauge import JournalGauge, utc_now
from llm_core.errors import PolicyUnavailable
from llm_core.policy.decision import UsageReport

_log = logging.getLogger(__name__)
_MOST_FAILURES = 3
"""So many in one round mean that the service is down; fewer, that it does not take those reports,
which must not keep the others waiting."""
_PROBE = b"\n" * 4096
Send = Callable[[str, UsageReport], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Waiting:
    """One report that waits.

    Args:
        kept_at: Since when; a line of an earlier version does not say so.
    """

    decision_id: str
    report: UsageReport
    kept_at: datetime | None = None

    @property
    def since(self) -> datetime | None:
        """When it was put here, or its call was decided, where one of them is known."""
        if self.kept_at is not None or self.report.reservation is None:
            return self.kept_at
        return self.report.reservation.decided_at


class Journal:
    """An append-only file of waiting reports.

    Args:
        path: The file; its folder is made when it is missing.
        now: Says what time it is.
    """

    def __init__(self, path: Path, now: Callable[[], datetime] = utc_now) -> None:
        self.path, self._now = path, now
        self.gauge = JournalGauge(path, now)
        self._delivered_last: Waiting | None = None

    def append(self, waiting: Waiting) -> None:
        """Keep a report; it is on disk when this returns.

        Raises:
            OSError: It cannot be written.
        """
        kept_at = self._now()
        line = msgspec.json.encode(replace(waiting, kept_at=kept_at)) + b"\n"
        with self._noting_failures():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._locked(), self.path.open("a+b") as file:
                if _is_torn(file):
                    file.write(b"\n")  # a crash left half a line: this report must not join it
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        self.gauge.appended(kept_at)

    def waiting(self) -> list[Waiting]:
        """Everything that waits and can be read, oldest first."""
        return [entry for line in self._lines() if (entry := _read(line)) is not None]

    def forget(self, decision_ids: set[str]) -> None:
        """Drop delivered reports; what was appended meanwhile stays."""
        with self._locked():
            self._keep([line for line in self._lines() if _id_of(line) not in decision_ids])

    async def deliver(self, send: Send) -> int:
        """Send what waits, oldest first, until the service is down again.

        Returns:
            How many were delivered.
        """
        if self.gauge.is_full:
            self._try_to_write()
        self._set_aside_unreadable()
        delivered: set[str] = set()
        failures = 0
        for entry in self._counted():
            try:
                await send(entry.decision_id, entry.report)
            except PolicyUnavailable:
                failures += 1
                if failures == _MOST_FAILURES:
                    break
            else:
                delivered.add(entry.decision_id)
                self._delivered_last = entry
        if delivered:
            self.forget(delivered)
            self._counted()
            _log.info("%d waiting usage reports were delivered", len(delivered))
            measures.delivered(len(delivered))
        return len(delivered)

    async def keep_delivering(self, send: Send, every_s: float) -> None:
        """Deliver what waits, for ever."""
        while True:
            try:
                if await self.deliver(send):
                    await self._tell_if_empty(send)
            except OSError as fault:
                _log.error("the usage journal %s cannot be read: %s", self.path, fault)
            except Exception as fault:  # noqa: BLE001 - reports must not wait for ever
                _log.error("delivering usage stumbled and goes on: %s", type(fault).__name__)
            await asyncio.sleep(every_s)

    def _counted(self) -> list[Waiting]:
        waiting = self.waiting()
        self.gauge.counted([one.since for one in waiting])
        return waiting

    async def _tell_if_empty(self, send: Send) -> None:
        """Have the service hear that nothing waits any more, also when no call comes for hours.

        Every report says how the journal stands, and the last one waited itself when it was sent.
        So it is sent once more: it is booked already, and changes nothing.
        """
        standing, last = self.gauge.standing(), self._delivered_last
        if standing is not None and standing.is_calm and last is not None:
            with suppress(PolicyUnavailable):
                await send(last.decision_id, last.report)

    def _try_to_write(self) -> None:
        """Find out whether there is room again; nothing else may be written for hours."""
        probe = self.path.with_name(self.path.name + ".probe")
        with suppress(OSError), self._noting_failures():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab"), probe.open("wb") as file:
                file.write(_PROBE)
                file.flush()
                os.fsync(file.fileno())
        with suppress(OSError):
            probe.unlink(missing_ok=True)

    def _set_aside_unreadable(self) -> None:
        if all(_read(line) is not None for line in self._lines()):
            return
        aside = self.path.with_name(self.path.name + ".unreadable")
        with self._locked():
            lines = self._lines()
            with aside.open("ab") as file:
                file.writelines(line + b"\n" for line in lines if _read(line) is None)
                file.flush()
                os.fsync(file.fileno())
            self._keep([line for line in lines if _read(line) is not None])
        _log.error("lines of the usage journal cannot be read; they now stand in %s", aside)

    def _lines(self) -> list[bytes]:
        try:
            return self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return []

    def _keep(self, lines: list[bytes]) -> None:
        """Replace the file in one step; the lock is held."""
        shorter = self.path.with_name(self.path.name + ".new")
        with self._noting_failures():
            with shorter.open("wb") as file:
                file.writelines(line + b"\n" for line in lines)
                file.flush()
                os.fsync(file.fileno())
            shorter.replace(self.path)

    @contextmanager
    def _noting_failures(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            self.gauge.failed()
            raise
        self.gauge.wrote()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Held for as long as a small file takes to be written; never while awaiting."""
        with self.path.with_name(self.path.name + ".lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _is_torn(file: BinaryIO) -> bool:
    if file.seek(0, os.SEEK_END) == 0:
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"


def _read(line: bytes) -> Waiting | None:
    try:
        return msgspec.json.decode(line, type=Waiting)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _id_of(line: bytes) -> str | None:
    entry = _read(line)
    return None if entry is None else entry.decision_id
