"""Calendar months and hours in UTC, the periods that budgets and reports are kept in."""

import re
from datetime import UTC, datetime

_MONTH = re.compile(r"(?P<year>[0-9]{4})-(?P<month>0[1-9]|1[0-2])")
_LAST_MONTH = 12


def month_of(moment: datetime) -> tuple[datetime, datetime]:
    """The first moment of `moment`'s month, and the first of the next one."""
    first = hour_of(moment).replace(day=1, hour=0)
    if first.month == _LAST_MONTH:
        return first, first.replace(year=first.year + 1, month=1)
    return first, first.replace(month=first.month + 1)


def month_named(name: str) -> tuple[datetime, datetime]:
    """As `month_of`, for a month written `2026-11`.

    Raises:
        ValueError: It is not written so.
    """
    match = _MONTH.fullmatch(name)
    if match is None or match["year"] in {"0000", "9999"}:
        raise ValueError(f"{name[:20]!r} is no month; write it as 2026-11")
    return month_of(datetime(int(match["year"]), int(match["month"]), 1, tzinfo=UTC))


def hour_of(moment: datetime) -> datetime:
    """The full hour that `moment` lies in."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
