"""When the periods of limits begin and end; shared by the ledger and every store of counters.

A calendar period belongs to a time zone, so its label names the zone as well: an organisation that
moves to another zone gets new counters, which are filled from the ledger. A sliding period is a row
of buckets: what was taken in a bucket counts until the bucket's end has left the window.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from llm_core.policy.limits import Period

_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Span:
    """One calendar period.

    Args:
        label: `2026-11-21` or `2026-11`, with `@` and the zone where that is not UTC.
        starts_at: Its first moment, UTC.
        ends_at: The first moment of the next one, UTC.
    """

    label: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Sliding:
    """How a sliding period is kept."""

    window_s: int
    bucket_s: int


SLIDING = {
    Period.MINUTE: Sliding(window_s=60, bucket_s=1),
    Period.LAST_24_HOURS: Sliding(window_s=_DAY_S, bucket_s=300),
    Period.LAST_30_DAYS: Sliding(window_s=30 * _DAY_S, bucket_s=3600),
}


def calendar_span(period: Period, now: datetime, time_zone: str = "UTC") -> Span:
    """The calendar day or month that `now` lies in, as the clocks of `time_zone` show it.

    Raises:
        ValueError: The period is none of the calendar's, or there is no such zone.
    """
    try:
        zone = ZoneInfo(time_zone)
    except (KeyError, OSError, ValueError) as unknown:
        raise ValueError(f"there is no time zone {time_zone[:60]!r}") from unknown
    here = now.astimezone(zone)
    first = here.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    match period:
        case Period.DAY:
            label, following = f"{first:%Y-%m-%d}", first + timedelta(days=1)
        case Period.MONTH:
            first = first.replace(day=1)
            label, following = f"{first:%Y-%m}", (first + timedelta(days=32)).replace(day=1)
        case _:
            raise ValueError(f"{period} is no period of the calendar")
    if time_zone != "UTC":
        label += f"@{time_zone}"
    return Span(label, first.astimezone(UTC), following.astimezone(UTC))


def local(now: datetime, time_zone: str) -> datetime:
    """The moment as the clocks of `time_zone` show it; as UTC's, where there is no such zone."""
    try:
        return now.astimezone(ZoneInfo(time_zone))
    except (KeyError, OSError, ValueError):
        return now.astimezone(UTC)


def sliding_start(period: Period, now: datetime) -> datetime:
    """The beginning of the oldest bucket that still counts, UTC.

    Bucket `b` holds what was taken in the `bucket_s` that end at `b` times `bucket_s`, and counts
    until `window_s` later.
    """
    kept = SLIDING[period]
    oldest_end_s = (int(now.timestamp()) - kept.window_s) // kept.bucket_s * kept.bucket_s
    return datetime.fromtimestamp(oldest_end_s, UTC)
