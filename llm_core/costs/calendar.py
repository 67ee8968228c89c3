"""Days and months as the clocks of a zone show them, as moments in UTC.

A day has 23, 24 or 25 hours where clocks change, and begins at the first moment that bears its
date, where midnight itself is left out.
"""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum


class Interval(StrEnum):
    """The steps in which a time is cut."""

    NONE = "none"
    HOUR = "hour"
    """Full hours of UTC: in a zone with a half-hour offset they begin at half past."""
    DAY = "day"
    MONTH = "month"


def day_start(day: date, zone: tzinfo) -> datetime:
    """The first moment of a day, UTC."""
    # Of a midnight that comes twice this is the first; of one that is left out, the moment at which
    # clocks jump.
    return datetime.combine(day, time(), zone).astimezone(UTC)


def month_start(day: date, zone: tzinfo) -> datetime:
    """The first moment of the month that a day lies in, UTC."""
    return day_start(day.replace(day=1), zone)


def next_month(day: date) -> date:
    """The first day of the month after."""
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def last_month(day: date) -> date:
    """The first day of the month before."""
    return (day.replace(day=1) - timedelta(days=1)).replace(day=1)


def edges(start: datetime, end: datetime, interval: Interval, zone: tzinfo) -> list[datetime]:
    """Where a time is cut: `start`, the first moments of what begins within it, and `end`.

    Args:
        start: UTC-aware.
        end: Later than `start`.
        interval: In which steps.
        zone: Whose days and months.
    """
    found = [start]
    while found[-1] < end:
        found.append(min(_following(found[-1], interval, zone, end), end))
    return found


def a_month_before(moment: datetime, zone: tzinfo) -> datetime:
    """The same day and time of the month before, UTC; that month's end where it is shorter."""
    here = moment.astimezone(zone)
    first = last_month(here.date())
    end = month_start(here.date(), zone)
    day = first + timedelta(days=here.day - 1)
    return min(datetime.combine(day, here.time(), zone).astimezone(UTC), end)


def days_before(moment: datetime, days: int, zone: tzinfo) -> datetime:
    """The same time of the day so many days before, UTC."""
    here = moment.astimezone(zone)
    return datetime.combine(here.date() - timedelta(days=days), here.time(), zone).astimezone(UTC)


def _following(moment: datetime, interval: Interval, zone: tzinfo, end: datetime) -> datetime:
    match interval:
        case Interval.NONE:
            return end
        case Interval.HOUR:
            return moment.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        case Interval.DAY:
            return day_start(moment.astimezone(zone).date() + timedelta(days=1), zone)
        case Interval.MONTH:
            return day_start(next_month(moment.astimezone(zone).date()), zone)
