"""How odd a day's spend is: against its own weekday, and against ends of months as well."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from math import copysign, inf

from llm_core.costs.robust import middle, spread

WEEKS = 8
"""So many of the same weekday before are looked at."""

_FEWEST = 3
_END_DAYS = 3
_LEAST_SPREAD = 0.1
"""Of the usual spend: a team that spends the same each week is not odd for a tenth more."""


@dataclass(frozen=True, slots=True)
class Oddity:
    """How a day compares.

    Args:
        usd: What it cost.
        usual_usd: What such a day usually costs.
        score: By how many spreads it differs; below zero where it cost less.
    """

    usd: Decimal
    usual_usd: float
    score: float


def oddity(history: Mapping[date, Decimal], day: date) -> Oddity | None:
    """How odd a day is; `None` while fewer than three like it are known.

    Days like it are the same weekday of the eight weeks before. On the last three days of a month
    the last three of the months within that time are like it too, and the dearer of the two
    counts: what is dear at every month's end is no news.

    Args:
        history: Spend by day; a day that is not named cost nothing, but before the first one
            named nothing is known.
        day: The one in question.
    """
    first = min(history, default=day)
    weekdays = _known(history, [day - timedelta(weeks=back) for back in range(1, WEEKS + 1)], first)
    if len(weekdays) < _FEWEST:
        return None
    like = weekdays
    if _is_end(day):
        before = [day - timedelta(days=back) for back in range(_END_DAYS + 1, 7 * WEEKS + 1)]
        ends = _known(history, [one for one in before if _is_end(one)], first)
        if len(ends) >= _FEWEST:
            like = max(weekdays, ends, key=middle)
    usd, usual = history.get(day, Decimal(0)), middle(like)
    wide = max(spread(like), _LEAST_SPREAD * abs(usual))
    off = float(usd) - usual
    if not off:
        return Oddity(usd, usual, 0.0)
    return Oddity(usd, usual, off / wide if wide else copysign(inf, off))


def _is_end(day: date) -> bool:
    return (day + timedelta(days=_END_DAYS)).month != day.month


def _known(history: Mapping[date, Decimal], days: Sequence[date], first: date) -> list[float]:
    return [float(history.get(day, Decimal(0))) for day in days if day >= first]
