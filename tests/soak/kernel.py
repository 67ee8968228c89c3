"""What the kernel says of processes: their children, memory, descriptors."""

import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at one process."""

    rss_bytes: int
    descriptors: int


def look(pid: int) -> Seen | None:
    """Memory and open descriptors of a process; `None` when there is none."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]
        return Seen(int(pages) * _PAGE_BYTES, len(os.listdir(f"/proc/{pid}/fd")))  # noqa: PTH208
    except OSError:
        return None


def started_by(root: int) -> dict[int, str]:
    """A process and all that it has started: command lines by process id."""
    parents: dict[int, int] = {}
    commands: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            pid = int(folder.name)
            stat = (folder / "stat").read_text("utf-8").rpartition(")")[2].split()
            commands[pid] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            parents[pid] = int(stat[1])
    return {pid: command for pid, command in commands.items() if _is_under(pid, root, parents)}


def signal_all(root: int, number: signal.Signals) -> None:
    """Send a signal to a process and all that it has started; the root first."""
    for pid in sorted(started_by(root), key=lambda pid: pid != root):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _is_under(pid: int, root: int, parents: Mapping[int, int]) -> bool:
    while pid not in (0, root):
        pid = parents.get(pid, 0)
    return pid == root
