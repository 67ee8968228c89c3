"""Sets of whole numbers as ranges, so that a million in a row take no room."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator


class Ranges:
    """A set of whole numbers that grows by ranges and shrinks by single numbers."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._ranges: list[tuple[int, int]] = []
        for first, last in ranges:
            self.add(first, last)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """The ranges, first and last of each, in order."""
        return iter(self._ranges)

    def __contains__(self, number: int) -> bool:
        at = self._at(number)
        return at >= 0 and number <= self._ranges[at][1]

    def add(self, first: int, last: int) -> None:
        """Put in all from `first` up to and with `last`."""
        if not self._ranges or first > self._ranges[-1][1] + 1:
            self._ranges.append((first, last))
            return
        touching = [r for r in self._ranges if r[0] <= last + 1 and first <= r[1] + 1]
        rest = [r for r in self._ranges if r[0] > last + 1 or first > r[1] + 1]
        lows, highs = [r[0] for r in touching], [r[1] for r in touching]
        rest.append((min([first, *lows]), max([last, *highs])))
        self._ranges = sorted(rest)

    def discard(self, number: int) -> None:
        """Take one out."""
        if number not in self:
            return
        at = self._at(number)
        first, last = self._ranges.pop(at)
        parts = [(first, number - 1), (number + 1, last)]
        self._ranges[at:at] = [part for part in parts if part[0] <= part[1]]

    def outside(self, others: "Ranges") -> Iterator[tuple[int, int]]:
        """What is in here and not in `others`."""
        holes = list(others)
        for low, high in self._ranges:
            first = low
            for hole_first, hole_last in holes:
                if hole_last < first or hole_first > high:
                    continue
                if hole_first > first:
                    yield first, hole_first - 1
                first = hole_last + 1
            if first <= high:
                yield first, high

    def _at(self, number: int) -> int:
        return bisect_right(self._ranges, number, key=lambda one: one[0]) - 1


def as_ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Rising numbers as ranges, first and last of each."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found
