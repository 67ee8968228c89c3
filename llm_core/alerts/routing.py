"""Which channel is told of what, and when: kinds, severities, quiet hours, tries."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

from llm_core.alerts.incident import IncidentKind, Severity

EVERY_DAY = frozenset(range(7))
_DAY = timedelta(days=1)
_MOST_SPANS = 16
_FIRST_WAIT_S = 5.0
_LONGEST_WAIT_S = 900.0
_MOST_DOUBLINGS = 16


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A time of day in which nobody is to be told.

    Args:
        starts: By the clocks of `zone`.
        ends: On the next day where it is not after `starts`; equal to it, a whole day.
        zone: Whose clocks.
        days: Weekdays on which they begin; 0 is Monday.
    """

    starts: time
    ends: time
    zone: tzinfo
    days: frozenset[int] = EVERY_DAY

    def end_after(self, now: datetime) -> datetime | None:
        """When the quiet hours that `now` lies in are over, UTC; `None` outside of them."""
        today = now.astimezone(self.zone).date()
        for day in (today - _DAY, today):
            if day.weekday() not in self.days:
                continue
            last = day if self.ends > self.starts else day + _DAY
            begins = datetime.combine(day, self.starts, self.zone).astimezone(UTC)
            over = datetime.combine(last, self.ends, self.zone).astimezone(UTC)
            if begins <= now < over:
                return over
        return None


@dataclass(frozen=True, slots=True)
class ChannelRule:
    """What one channel is for.

    Args:
        kinds: Only these; `None` for every one.
        least: Nothing that is less severe.
        quiet: What is not critical waits for the end of these.
    """

    name: str
    kinds: frozenset[IncidentKind] | None = None
    least: Severity = Severity.INFO
    quiet: tuple[QuietHours, ...] = ()

    def takes(self, kind: IncidentKind, severity: Severity) -> bool:
        """Whether it is to be told."""
        is_wanted = self.kinds is None or kind in self.kinds
        return is_wanted and severity.rank >= self.least.rank

    def due(self, severity: Severity, now: datetime) -> datetime:
        """When it may be told: now, or at the end of the quiet hours."""
        if severity is Severity.CRITICAL:
            return now
        at = now
        for _ in range(_MOST_SPANS):  # quiet hours may follow each other, not for ever
            ends = [end for one in self.quiet if (end := one.end_after(at)) is not None]
            if not ends:
                break
            at = max(ends)
        return at


@dataclass(frozen=True, slots=True)
class Routes:
    """Every channel's rule."""

    channels: tuple[ChannelRule, ...] = ()

    def due(self, kind: IncidentKind, severity: Severity, now: datetime) -> Mapping[str, datetime]:
        """Who is to be told of an incident, and when."""
        return {
            one.name: one.due(severity, now) for one in self.channels if one.takes(kind, severity)
        }

    def due_at(self, channel: str, severity: Severity, now: datetime) -> datetime:
        """When one channel may be told; one that is not there any more, at once."""
        found = next((one for one in self.channels if one.name == channel), None)
        return now if found is None else found.due(severity, now)


def wait_s(attempts: int) -> float:
    """How long to wait after so many tries in vain: from 5 s, twice as long each time, to 900 s."""
    doublings = min(max(attempts - 1, 0), _MOST_DOUBLINGS)
    return float(min(_FIRST_WAIT_S * 2**doublings, _LONGEST_WAIT_S))
