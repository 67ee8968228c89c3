"""The arithmetic of limits that both stores share: what lies in the last minute, and which month.

A window per minute is a row of one-second buckets. The bucket `b` holds what was taken in the
second that ends at `b`, so it counts until `b + 60`, when all of it has left the last 60 s. Thus a
window holds at most the limit's amount at every moment, and frees what was taken at most a second
late.
Times are whole milliseconds since 1970 UTC, because Lua in Redis counts with doubles.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal

from llm_core.policy.limits import Limit

WINDOW_MS = 60_000
BUCKET_MS = 1_000
SKEW_BUCKETS = 5
"""Processes whose clocks differ by less share the newest bucket, so that the slower one's calls do
not leave the window too early by the faster one's clock."""

MAX_COUNT = 2**52
"""No limit is higher; one more and twice that are still exact in a double."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def epoch_ms(at: datetime) -> int:
    """Whole milliseconds since 1970 UTC, rounded down; `at` must be aware."""
    return (at - _EPOCH) // _MILLISECOND


def month_of(at: datetime) -> str:
    """The calendar month in UTC, for example `2026-11`."""
    return f"{at.astimezone(UTC):%Y-%m}"


def seconds_to_next_month(at: datetime) -> float:
    """Seconds until the calendar month in UTC ends."""
    here = at.astimezone(UTC)
    first = here.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (first + timedelta(days=32)).replace(day=1)
    return (following - here).total_seconds()


def binding(limits: Iterable[Limit]) -> tuple[Limit, ...]:
    """One limit for each counter: where a key stands twice, the smallest amount binds.

    The counter is then checked and charged once, in the place where its key first stood.
    """
    smallest: dict[str, Limit] = {}
    for limit in limits:
        held = smallest.get(limit.key)
        if held is None or limit.amount < held.amount:
            smallest[limit.key] = limit
    return tuple(smallest.values())


def limit_count(amount: Decimal) -> int:
    """A limit's amount in whole requests or tokens: rounded down, no higher than counters go."""
    capped = min(max(amount, Decimal(0)), Decimal(MAX_COUNT))
    return int(capped.to_integral_value(rounding=ROUND_FLOOR))


def taken_count(wanted: int) -> int:
    """What a call takes; absurdly many stay more than any limit, so that they are refused.

    Raises:
        ValueError: The number is negative.
    """
    if wanted < 0:
        raise ValueError(f"nobody can take {wanted} requests or tokens")
    return min(wanted, MAX_COUNT + 1)


class Window:
    """What was taken in the last 60 s. The in-process twin of `redis_limits/common.lua`.

    Looking changes nothing, whatever the time; what has left is dropped when more is taken.
    """

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        """Start with nothing taken."""
        self._buckets: dict[int, int] = {}

    def used(self, now_ms: int) -> int:
        """How much lies in the window."""
        return sum(
            count for bucket, count in self._buckets.items() if _leaves_at_ms(bucket) > now_ms
        )

    def oldest_leaves_in_ms(self, now_ms: int) -> int:
        """Until the first of what is taken is free again; 0 when nothing is."""
        return min((leaves_at_ms - now_ms for leaves_at_ms, _ in self._leaving(now_ms)), default=0)

    def fits_in_ms(self, wanted: int, amount: int, now_ms: int) -> int | None:
        """Until `wanted` more fits under `amount` if nothing else is taken; `None` is never."""
        if wanted > amount:
            return None
        left, fits_at_ms = self.used(now_ms), now_ms
        for leaves_at_ms, count in sorted(self._leaving(now_ms)):
            if left + wanted <= amount:
                break
            left, fits_at_ms = left - count, leaves_at_ms
        return fits_at_ms - now_ms

    def take(self, count: int, now_ms: int) -> int:
        """Add `count`, and name the bucket it went to, for `correct`."""
        bucket = -(-now_ms // BUCKET_MS)
        self._drop_left(now_ms)
        newest = max(self._buckets, default=bucket)
        if bucket < newest <= bucket + SKEW_BUCKETS:
            bucket = newest
        if count:
            self._buckets[bucket] = self._buckets.get(bucket, 0) + count
        return bucket

    def correct(self, bucket: int, delta: int, now_ms: int) -> None:
        """Change what was taken then, unless it has left the window."""
        if _leaves_at_ms(bucket) <= now_ms:
            return
        count = max(0, self._buckets.pop(bucket, 0) + delta)
        if count:
            self._buckets[bucket] = count

    def _leaving(self, now_ms: int) -> Iterator[tuple[int, int]]:
        for bucket, count in self._buckets.items():
            leaves_at_ms = _leaves_at_ms(bucket)
            if leaves_at_ms > now_ms:
                yield leaves_at_ms, count

    def _drop_left(self, now_ms: int) -> None:
        for bucket in [b for b in self._buckets if _leaves_at_ms(b) <= now_ms]:
            del self._buckets[bucket]


def _leaves_at_ms(bucket: int) -> int:
    return bucket * BUCKET_MS + WINDOW_MS
