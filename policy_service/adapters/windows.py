"""The arithmetic of sliding windows and of times, which both stores of limits share.

A window is a row of buckets. The bucket `b` holds what was taken in the `bucket_s` that end at `b`
times `bucket_s`, so it counts until `window_s` later, when all of it has left the window. Thus a
window holds at most the limit's amount at every moment, and frees what was taken at most a bucket
late. The ledger sums by the same buckets (`policy_service.periods.sliding_start`).
Times are whole milliseconds since 1970 UTC, because Lua in Redis counts with doubles.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from llm_core.policy.limits import Period
from policy_service.periods import SLIDING

SKEW_BUCKETS = 5
"""Processes whose clocks differ by less share the newest second of a minute, so that the slower
one's calls do not leave the window too early by the faster one's clock. Longer windows need none of
it: their buckets must be the ledger's."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def epoch_ms(at: datetime) -> int:
    """Whole milliseconds since 1970 UTC, rounded down; `at` must be aware."""
    return (at - _EPOCH) // _MILLISECOND


@dataclass(frozen=True, slots=True)
class Buckets:
    """How a window is cut up."""

    window_ms: int
    bucket_ms: int
    skew: int = 0

    def number(self, at_ms: int) -> int:
        """The bucket of what is taken at `at_ms`."""
        return -(-at_ms // self.bucket_ms)

    def beginning_at(self, at_ms: int) -> int:
        """The bucket that begins at `at_ms`, as `Spent.at` names it."""
        return at_ms // self.bucket_ms + 1

    def leaves_at_ms(self, bucket: int) -> int:
        """When a bucket no longer counts."""
        return bucket * self.bucket_ms + self.window_ms


BUCKETS = {
    period: Buckets(
        window_ms=kept.window_s * 1000,
        bucket_ms=kept.bucket_s * 1000,
        skew=0 if period.is_from_ledger else SKEW_BUCKETS,
    )
    for period, kept in SLIDING.items()
}
MINUTE = BUCKETS[Period.MINUTE]


class Window:
    """What was taken lately. The in-process twin of `redis_limits/windows.lua`.

    Looking changes nothing, whatever the time; what has left is dropped when more is taken.
    """

    __slots__ = ("_taken", "buckets")

    def __init__(self, buckets: Buckets) -> None:
        """Start with nothing taken."""
        self.buckets = buckets
        self._taken: dict[int, Decimal] = {}

    def used(self, now_ms: int) -> Decimal:
        """How much lies in the window."""
        return sum((amount for _, amount in self._leaving(now_ms)), Decimal(0))

    def frees_in_ms(self, now_ms: int) -> int:
        """Until the first of what is taken is free again; 0 when nothing is."""
        return min((leaves_at_ms - now_ms for leaves_at_ms, _ in self._leaving(now_ms)), default=0)

    def fits_in_ms(self, wanted: Decimal, amount: Decimal, now_ms: int) -> int | None:
        """Until `wanted` more fits under `amount` if nothing else is taken; `None` is never."""
        if wanted > amount:
            return None
        left, fits_at_ms = self.used(now_ms), now_ms
        for leaves_at_ms, taken in sorted(self._leaving(now_ms)):
            if left + wanted <= amount:
                break
            left, fits_at_ms = left - taken, leaves_at_ms
        return fits_at_ms - now_ms

    def take(self, amount: Decimal, at_ms: int, now_ms: int) -> int:
        """Add `amount`, and name the bucket it went to, for `move`."""
        bucket = self.buckets.number(at_ms)
        self._drop_left(now_ms)
        newest = max(self._taken, default=bucket)
        if bucket < newest <= bucket + self.buckets.skew:
            bucket = newest
        self.move(bucket, amount, now_ms)
        return bucket

    def move(self, bucket: int, delta: Decimal, now_ms: int) -> None:
        """Change what was taken then, unless it has left the window."""
        if self.buckets.leaves_at_ms(bucket) <= now_ms:
            return
        amount = self._taken.pop(bucket, Decimal(0)) + delta
        if amount > 0:
            self._taken[bucket] = amount

    def _leaving(self, now_ms: int) -> Iterator[tuple[int, Decimal]]:
        for bucket, amount in self._taken.items():
            leaves_at_ms = self.buckets.leaves_at_ms(bucket)
            if leaves_at_ms > now_ms:
                yield leaves_at_ms, amount

    def _drop_left(self, now_ms: int) -> None:
        for bucket in [b for b in self._taken if self.buckets.leaves_at_ms(b) <= now_ms]:
            del self._taken[bucket]
