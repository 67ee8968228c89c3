"""Which days of UTC stand for a time, and which hours have to change places then.

Midnights of a zone lie within days of UTC. A day that an edge cuts is counted where the longer part
of it belongs; of the hours of the shorter part what the day holds too much is taken out, and given
to where it does belong. Thirty days of Berlin are read as thirty days and thirty or sixty hours,
all of them at night, instead of 720 hours. As amounts are exact, so is the result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from policy_service.adapters.sql.months import day_of, hour_of

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_HALF = timedelta(hours=12)
_FEWEST = 2

Stretch = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Days:
    """Full days of UTC that stand for a time.

    Args:
        edges: The question's edges, each put to a midnight of UTC.
        taken: Hours that are to be taken out of the days.
        given: Hours that are to be added where the question's own edges say; none is cut.
    """

    edges: tuple[datetime, ...]
    taken: tuple[Stretch, ...]
    given: tuple[Stretch, ...]


def days_of(edges: Sequence[datetime]) -> Days | None:
    """The days that stand for the time between ascending edges.

    `None` where that is no gain: the time is too short, or too many hours would change places.
    """
    rounded = tuple(_nearest(edge) for edge in edges)
    if rounded[-1] - rounded[0] < _FEWEST * _DAY:
        return None
    taken, given = set[datetime](), set[datetime]()
    for edge, midnight in zip(edges, rounded, strict=True):
        taken |= {*_hours(hour_of(min(edge, midnight)), max(edge, midnight))}
        given |= {*_hours(_up(min(edge, midnight)), hour_of(max(edge, midnight)))}
    cut = {hour_of(edge) for edge in edges if hour_of(edge) != edge}
    # Edges within the same hours each have their say: what lies outside of all is nobody's.
    taken = {hour for hour in taken | cut if rounded[0] <= hour < rounded[-1]}
    given = {hour for hour in given - cut if edges[0] <= hour < edges[-1]}
    if (len(taken) + len(given)) * _HOUR >= rounded[-1] - rounded[0]:
        return None
    return Days(rounded, _stretches(taken), _stretches(given))


def _nearest(edge: datetime) -> datetime:
    day = day_of(edge)
    return day if edge - day <= _HALF else day + _DAY


def _up(moment: datetime) -> datetime:
    hour = hour_of(moment)
    return hour if hour == moment else hour + _HOUR


def _hours(first: datetime, end: datetime) -> list[datetime]:
    """The hours that begin from `first`, a full hour, up to and without `end`."""
    return [first + count * _HOUR for count in range(max(0, -((first - end) // _HOUR)))]


def _stretches(hours: set[datetime]) -> tuple[Stretch, ...]:
    """Hours that follow each other, as one each."""
    found: list[Stretch] = []
    for hour in sorted(hours):
        if found and found[-1][1] == hour:
            found[-1] = (found[-1][0], hour + _HOUR)
        else:
            found.append((hour, hour + _HOUR))
    return tuple(found)
