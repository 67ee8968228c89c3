"""Memory and descriptors of the processes that live long, over time."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.soak.faults import Part
from tests.soak.kernel import Seen, look
from tests.soak.stack import Stack

LOOKS_EVERY_S = 1.0
WATCHED = (Part.AUTH, Part.METER, Part.TRANSFORM, Part.POLICY_1, Part.POLICY_2, "gateway")
_WARM_S = 30.0
"""Caches fill, pools grow, modules are imported."""
_LEAST_S = 60.0
"""Who lives shorter after that says nothing about leaks."""
_ROOM_BYTES = 12 * 2**20
_ROOM_SHARE = 0.1
_ROOM_DESCRIPTORS = 20


@dataclass
class Life:
    """One process, look by look.

    Args:
        looks: Time by `time.monotonic` and what was seen.
    """

    name: str
    pid: int
    looks: list[tuple[float, Seen]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Growth:
    """Medians of a life's first third after the warm-up, and of its last."""

    name: str
    lasted_s: float
    rss_bytes: tuple[float, float]
    descriptors: tuple[float, float]

    @property
    def is_flat(self) -> bool:
        """Whether what it has grown by is no more than noise."""
        before, after = self.rss_bytes
        room = max(_ROOM_BYTES, before * _ROOM_SHARE)
        opened, still_open = self.descriptors
        return after - before <= room and still_open - opened <= _ROOM_DESCRIPTORS

    def __str__(self) -> str:
        before, after = (size / 2**20 for size in self.rss_bytes)
        opened, still_open = self.descriptors
        return (
            f"{self.name}: {before:.0f} to {after:.0f} MiB, {opened:.0f} to {still_open:.0f} "
            f"descriptors in {self.lasted_s:.0f} s"
        )


def growth(life: Life) -> Growth | None:
    """How it has grown; `None` for a life too short to tell."""
    warm_s = life.looks[0][0] + _WARM_S
    looks = [seen for at_s, seen in life.looks if at_s >= warm_s]
    lasted_s = life.looks[-1][0] - warm_s
    if lasted_s < _LEAST_S:
        return None
    third = len(looks) // 3
    first, last = looks[:third], looks[-third:]
    return Growth(
        life.name,
        lasted_s,
        (_rss(first), _rss(last)),
        (_descriptors(first), _descriptors(last)),
    )


def _rss(looks: Sequence[Seen]) -> float:
    return statistics.median(seen.rss_bytes for seen in looks)


def _descriptors(looks: Sequence[Seen]) -> float:
    return statistics.median(seen.descriptors for seen in looks)


async def watch(stack: Stack, lives: dict[tuple[str, int], Life]) -> None:
    """Look at them until cancelled; a process started anew is another life."""
    while True:
        for name in WATCHED:
            pid = stack.pid_of(name)
            if pid is not None and (seen := look(pid)) is not None:
                life = lives.setdefault((name, pid), Life(name, pid))
                life.looks.append((time.monotonic(), seen))
        await asyncio.sleep(LOOKS_EVERY_S)
