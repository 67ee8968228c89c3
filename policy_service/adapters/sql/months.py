"""Calendar months, full days and full hours, the periods that the ledger's tables are kept in."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from llm_core.policy.limits import Period
from policy_service.periods import calendar_span

_MONTH = re.compile(r"(?P<year>[0-9]{4})-(?P<month>0[1-9]|1[0-2])")
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


def month_of(moment: datetime) -> tuple[datetime, datetime]:
    """The first moment of `moment`'s month in UTC, and the first of the next one."""
    span = calendar_span(Period.MONTH, moment)
    return span.starts_at, span.ends_at


def month_named(name: str, time_zone: str = "UTC") -> tuple[datetime, datetime]:
    """The first moment of a month written `2026-11`, and the first of the next one, in UTC.

    Args:
        name: The month.
        time_zone: IANA name; whose clocks it begins by.

    Raises:
        ValueError: It is not written so, or there is no such zone.
    """
    match = _MONTH.fullmatch(name)
    if match is None or match["year"] in {"0000", "9999"}:
        raise ValueError(f"{name[:20]!r} is no month; write it as 2026-11")
    # The middle of a month lies in the same month everywhere.
    middle = datetime(int(match["year"]), int(match["month"]), 15, tzinfo=UTC)
    span = calendar_span(Period.MONTH, middle, time_zone)
    return span.starts_at, span.ends_at


def months_from(moment: datetime, count: int) -> Iterator[tuple[datetime, datetime]]:
    """`count` months in UTC, the one that `moment` lies in first."""
    for _ in range(count):
        first, moment = month_of(moment)
        yield first, moment


def months_before(moment: datetime, count: int) -> datetime:
    """The first moment of the month in UTC that is `count` before `moment`'s."""
    first, _ = month_of(moment)
    for _ in range(count):
        first, _ = month_of(first - timedelta(days=1))
    return first


def hour_of(moment: datetime) -> datetime:
    """The full hour that `moment` lies in."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def day_of(moment: datetime) -> datetime:
    """The first moment of the day in UTC that `moment` lies in."""
    return hour_of(moment).replace(hour=0)


def full_days(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """The part of a time that is full days of UTC; both ends are `start` when no day fits."""
    first = day_of(start)
    first = first if first == start else first + _DAY
    last = day_of(end)
    return (first, last) if first <= last else (start, start)


def full_hours(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """The part of a time that is full hours of UTC; what is left is at most an hour at each edge.

    Zones with a half hour or a quarter begin their days between the hours of the roll-ups.

    Returns:
        Its start and its end, both within the time; equal when no full hour fits.
    """
    first = hour_of(start)
    first = first if first == start else first + _HOUR
    last = hour_of(end)
    return (first, last) if first <= last else (start, start)
