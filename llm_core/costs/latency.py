"""Latencies in bounds that grow by a tenth, so that their counts add up over any time and team.

A percentile is that of the nearest rank, told as the middle of the bounds it lies in: within 4.8 %
of the true one for everything from 0.1 ms to an hour.
"""

from bisect import bisect_right
from collections.abc import Mapping

RELATIVE_ERROR = 0.048
_FIRST_US = 100
_LAST_US = 3_600_000_000


def _bounds() -> tuple[int, ...]:
    found = [_FIRST_US]
    while found[-1] < _LAST_US:
        # Down to whole microseconds: never more than a tenth wide.
        found.append(found[-1] * 11 // 10)
    return tuple(found)


BOUNDS_US = _bounds()
"""Where one bound ends and the next begins; `slot_of` counts those at or below a figure."""


def slot_of(us: int) -> int:
    """The slot that so many microseconds are counted in: 0 for less than the first bound."""
    return bisect_right(BOUNDS_US, us)


def told_ms(slot: int) -> float:
    """The figure that stands for a slot: equally wrong at both of its ends."""
    if slot <= 0:
        return BOUNDS_US[0] / 1000
    low = BOUNDS_US[min(slot, len(BOUNDS_US)) - 1]
    high = BOUNDS_US[min(slot, len(BOUNDS_US) - 1)]
    return 2 * low * high / (low + high) / 1000


def percentile_ms(counts: Mapping[int, int], percent: float) -> float | None:
    """The percentile of what was counted by slot; `None` of nothing."""
    total = sum(counts.values())
    if total <= 0:
        return None
    below = 0
    slots = sorted(slot for slot, count in counts.items() if count > 0)
    for slot in slots:
        below += counts[slot]
        if below * 100 >= percent * total:
            return round(told_ms(slot), 3)
    return round(told_ms(slots[-1]), 3)
