"""Whether an hour's spend is out of the ordinary, for that hour of that weekday.

An hour is held against the same hour of the same weekday in the weeks before, by median and median
absolute deviation, so that one odd week moves neither. Months end in bursts: batch jobs, closing,
reports. So the days around a month's end are left out of what is ordinary, and such a day is held
against the same day of the months before as well; what either of the two explains is no anomaly.

Source:
    https://en.wikipedia.org/wiki/Median_absolute_deviation
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from statistics import median

_AS_DEVIATION = Decimal("1.4826")
"""Turns a median absolute deviation into a standard deviation, where chance is normal."""

_LAST_DAYS = 3
_FIRST_DAYS = 2
_MONTHS = 3
_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)
_FURTHER_WEEKS = 4
_DECEMBER = 12


@dataclass(frozen=True, slots=True)
class AnomalyRules:
    """When an hour is out of the ordinary: when it passes all three.

    Args:
        weeks: How many are compared with.
        floor_usd: What an hour may always cost.
        times: What is ordinary may be multiplied by this.
        deviations: So many robust standard deviations above the median are ordinary.
    """

    weeks: int = 6
    floor_usd: Decimal = Decimal(25)
    times: Decimal = Decimal(3)
    deviations: Decimal = Decimal(6)


@dataclass(frozen=True, slots=True)
class Compared:
    """The hours that one hour is held against; all UTC, all full hours.

    Args:
        weekly: The same hour of the same weekday.
        monthly: The same hour of the same day of the month, counted from the nearer end; empty in
            the middle of a month.
    """

    weekly: tuple[datetime, ...]
    monthly: tuple[datetime, ...] = ()

    @property
    def hours(self) -> frozenset[datetime]:
        """Both."""
        return frozenset((*self.weekly, *self.monthly))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an hour is found to be.

    Args:
        expected_usd: The median of what it was compared with.
        most_usd: What would still have been ordinary.
    """

    usd: Decimal
    expected_usd: Decimal
    most_usd: Decimal

    @property
    def is_anomaly(self) -> bool:
        """Whether it is out of the ordinary."""
        return self.usd > self.most_usd


def compared_with(hour: datetime, zone: tzinfo, weeks: int) -> Compared:
    """Which hours to hold a full hour against, by the clocks of `zone`."""
    local = hour.astimezone(zone).replace(fold=0)
    turn = _turn(local.date())
    weekly: list[datetime] = []
    for back in range(1, weeks + _FURTHER_WEEKS + 1):
        before = local.replace(tzinfo=None) - back * _WEEK
        if turn is None and _turn(before.date()) is not None:
            continue
        weekly.append(_utc_hour(before, zone))
        if len(weekly) == weeks:
            break
    monthly: list[datetime] = []
    if turn is not None:
        for back in range(1, _MONTHS + 1):
            day = _turn_of(local.date(), turn, back)
            monthly.append(_utc_hour(datetime.combine(day, local.time()), zone))
    return Compared(tuple(weekly), tuple(monthly))


def judged(
    usd: Decimal, by_hour: Mapping[datetime, Decimal], compared: Compared, rules: AnomalyRules
) -> Verdict:
    """Say whether an hour's spend is ordinary.

    Args:
        usd: What it cost.
        by_hour: What the hours of `compared` cost; one that is missing cost nothing.
        compared: From `compared_with`.
        rules: When it is not.
    """
    expected, most = _ordinary(_sums(by_hour, compared.weekly), rules)
    if compared.monthly:
        at_turn, most_at_turn = _ordinary(_sums(by_hour, compared.monthly), rules)
        expected, most = max(expected, at_turn), max(most, most_at_turn)
    return Verdict(usd, expected, most)


def _ordinary(sums: Sequence[Decimal], rules: AnomalyRules) -> tuple[Decimal, Decimal]:
    middle = median(sums) if sums else Decimal(0)
    deviation = median(abs(one - middle) for one in sums) if sums else Decimal(0)
    far = middle + rules.deviations * _AS_DEVIATION * deviation
    return middle, max(rules.floor_usd, rules.times * middle, far)


def _sums(by_hour: Mapping[datetime, Decimal], hours: Iterable[datetime]) -> list[Decimal]:
    return [by_hour.get(hour, Decimal(0)) for hour in hours]


def _turn(day: date) -> int | None:
    """Which day around a month's end it is: -1 is the last one, 1 the first; `None` for others."""
    left = (_next_month(day) - day).days
    if left <= _LAST_DAYS:
        return -left
    return day.day if day.day <= _FIRST_DAYS else None


def _turn_of(day: date, turn: int, months_back: int) -> date:
    first = day.replace(day=1)
    for _ in range(months_back):
        first = (first - _DAY).replace(day=1)
    return first + (turn - 1) * _DAY if turn > 0 else _next_month(first) + turn * _DAY


def _next_month(day: date) -> date:
    if day.month == _DECEMBER:
        return date(day.year + 1, 1, 1)
    return date(day.year, day.month + 1, 1)


def _utc_hour(wall: datetime, zone: tzinfo) -> datetime:
    moment = wall.replace(tzinfo=zone).astimezone(UTC)
    return moment.replace(minute=0, second=0, microsecond=0)
