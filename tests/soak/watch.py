"""Memory and descriptors of the processes that live long, over time."""

import asyncio
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from devkong.rpc import POOL_SIZE
from tests.soak.faults import Part
from tests.soak.kernel import Seen, look
from tests.soak.stack import Stack

LOOKS_EVERY_S = 1.0
WATCHED = (Part.AUTH, Part.METER, Part.TRANSFORM, Part.POLICY_1, Part.POLICY_2, "gateway")
_WARM_S = 30.0
"""Caches fill, pools grow, modules are imported."""
_LEAST_S = 60.0
"""Who lives shorter after that says nothing about leaks."""
_PARTS = 6
_ROOM_BYTES = 12 * 2**20
_ROOM_SHARE = 0.1
# Kong keeps as many connections to a plugin server as were ever needed at once, up to its pool.
_ROOM_DESCRIPTORS = POOL_SIZE + 2


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
    """What a life has grown by, after the warm-up.

    Memory is compared part by part, by medians, and the largest step is left out: something is
    loaded when it is first needed (the tokenizer, 60 MB). What leaks grows in each part.
    Descriptors come and go, for pools fill while something hangs: they leak when the fewest of the
    last third are more than the most of the first.

    Args:
        rss_bytes: In the first part and in the last.
        step_bytes: The largest step from a part to the next.
        descriptors: The most in the first third, and the fewest in the last.
    """

    name: str
    lasted_s: float
    rss_bytes: tuple[float, float]
    step_bytes: float
    descriptors: tuple[int, int]

    @property
    def is_flat(self) -> bool:
        """Whether what it has grown by is no more than noise."""
        before, after = self.rss_bytes
        grown = after - before - max(self.step_bytes, 0.0)
        opened, still_open = self.descriptors
        return (
            grown <= max(_ROOM_BYTES, before * _ROOM_SHARE)
            and still_open - opened <= _ROOM_DESCRIPTORS
        )

    def __str__(self) -> str:
        before, after = (size / 2**20 for size in self.rss_bytes)
        opened, still_open = self.descriptors
        return (
            f"{self.name}: {before:.0f} to {after:.0f} MiB, {self.step_bytes / 2**20:.0f} of it in "
            f"one step, at most {opened} and then at least {still_open} descriptors "
            f"in {self.lasted_s:.0f} s"
        )


def growth(life: Life) -> Growth | None:
    """How it has grown; `None` for a life too short to tell."""
    warm_s = life.looks[0][0] + _WARM_S
    looks = [seen for at_s, seen in life.looks if at_s >= warm_s]
    lasted_s = life.looks[-1][0] - warm_s
    if lasted_s < _LEAST_S:
        return None
    length = len(looks) // _PARTS
    sizes = [
        statistics.median(seen.rss_bytes for seen in looks[part * length :][:length])
        for part in range(_PARTS)
    ]
    third = len(looks) // 3
    return Growth(
        life.name,
        lasted_s,
        (sizes[0], sizes[-1]),
        max(after - before for before, after in pairwise(sizes)),
        (
            max(seen.descriptors for seen in looks[:third]),
            min(seen.descriptors for seen in looks[-third:]),
        ),
    )


def write_down(lives: Mapping[tuple[str, int], Life], file: Path, start_s: float) -> None:
    """Every look, as CSV: for whoever wants to see how something grew."""
    lines = ["name,pid,at_s,rss_mib,descriptors"]
    for (name, pid), life in lives.items():
        lines += [
            f"{name},{pid},{at_s - start_s:.1f},{seen.rss_bytes / 2**20:.1f},{seen.descriptors}"
            for at_s, seen in life.looks
        ]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


async def watch(stack: Stack, lives: dict[tuple[str, int], Life]) -> None:
    """Look at them until cancelled; a process started anew is another life."""
    while True:
        for name in WATCHED:
            pid = stack.pid_of(name)
            if pid is not None and (seen := look(pid)) is not None:
                life = lives.setdefault((name, pid), Life(name, pid))
                life.looks.append((time.monotonic(), seen))
        await asyncio.sleep(LOOKS_EVERY_S)
