"""Which week or month a report is about, and when it falls due, by an organisation's clocks."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from policy_service.ports.report_schedules import Cadence

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ReportPeriod:
    """A week or a month that is over.

    Args:
        name: `2026-W47` as ISO 8601 numbers weeks, or `2026-11`.
        before: The first moment of the period before, UTC.
        days: Each day with its first moment and the next one's, UTC: those of 23 and 25 hours too.
        due_at: When its report is sent.
    """

    name: str
    before: datetime
    days: tuple[tuple[str, datetime, datetime], ...]
    due_at: datetime

    @property
    def starts_at(self) -> datetime:
        """Its first moment."""
        return self.days[0][1]

    @property
    def ends_at(self) -> datetime:
        """The first moment after it."""
        return self.days[-1][2]


def latest_due(cadence: Cadence, hour: int, now: datetime, time_zone: str) -> ReportPeriod:
    """The newest period whose report is due.

    Args:
        cadence: A week or a month.
        hour: At which, on the first day after the period, its report is due.
        now: Now.
        time_zone: Whose clocks.
    """
    zone = ZoneInfo(time_zone)
    first = _first_day(cadence, now.astimezone(zone).date())
    if _at(first, hour, zone) > now:
        first = _first_day(cadence, first - _DAY)
    return _ended(cadence, first, hour, zone)


def latest_over(cadence: Cadence, now: datetime, time_zone: str) -> ReportPeriod:
    """The newest period that is over, whether its report is due or not."""
    zone = ZoneInfo(time_zone)
    return _ended(cadence, _first_day(cadence, now.astimezone(zone).date()), 0, zone)


def _ended(cadence: Cadence, following: date, hour: int, zone: ZoneInfo) -> ReportPeriod:
    """The period that ended when the day `following` began."""
    first = _first_day(cadence, following - _DAY)
    days = []
    day = first
    while day < following:
        days.append((f"{day:%Y-%m-%d}", _at(day, 0, zone), _at(day + _DAY, 0, zone)))
        day += _DAY
    year, week, _ = first.isocalendar()
    name = f"{year}-W{week:02d}" if cadence is Cadence.WEEKLY else f"{first:%Y-%m}"
    before = _at(_first_day(cadence, first - _DAY), 0, zone)
    return ReportPeriod(name, before, tuple(days), _at(following, hour, zone))


def _first_day(cadence: Cadence, day: date) -> date:
    match cadence:
        case Cadence.WEEKLY:
            return day - timedelta(days=day.weekday())
        case Cadence.MONTHLY:
            return day.replace(day=1)


def _at(day: date, hour: int, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(hour), zone).astimezone(UTC)
