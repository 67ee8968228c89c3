"""What a month will come to, from the days before: robust, and aware of weekdays.

The method, as answers name it:

- `weekday_median` (two weeks of history or more): what a weekday usually costs is the median of its
  last eight; the level is the median of the last two weeks' ratios to that, so that growth is
  followed and one wild day is not. The rest of the month is the sum of what its weekdays usually
  cost at that level.
- `daily_median` (three days or more): every day to come costs the median of the days so far.

The band holds four months in five, if days differ as they did: each day to come is off by the
spread of the ratios, independently, and the level by the spread over the root of its days.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from llm_core.costs.robust import middle, spread

HISTORY_DAYS = 56
"""So many full days are looked at: eight of each weekday."""

_FEWEST_DAYS = 3
_TWO_WEEKS = 14
_BAND_SIGMAS = 1.2816
"""Four fifths of a normal distribution lie within."""

_LEVELS = (0.25, 4.0)
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a month will come to.

    Args:
        usd: The expected sum at the month's end, to the cent.
        low_usd: In one month of ten it will be less.
        high_usd: In one month of ten it will be more.
        method: How it was found.
    """

    usd: Decimal
    low_usd: Decimal
    high_usd: Decimal
    method: str


def month_end(
    spent: Decimal,
    history: Mapping[date, Decimal],
    today: date,
    last_day: date,
    share_of_today_left: float,
) -> Forecast | None:
    """The forecast; `None` while there are too few days to go by.

    Args:
        spent: In the month, so far.
        history: Spend of full days before today, by day; a day that is not named cost nothing.
        today: Its rest is still to come.
        last_day: Of the month.
        share_of_today_left: 0 to 1.
    """
    days = _days(history, today)
    if len(days) < _FEWEST_DAYS:
        return None
    usual, method = _usual(days, history)
    ratios = [
        float(history.get(day, Decimal(0))) / usual[day.weekday()]
        for day in days
        if usual[day.weekday()] > 0
    ]
    recent = ratios[-_TWO_WEEKS:]
    level = min(max(middle(recent), _LEVELS[0]), _LEVELS[1]) if recent else 0.0
    coming = _coming(usual, today, last_day, share_of_today_left)
    expected = level * sum(coming)
    off = spread(ratios)
    alone = off * math.sqrt(sum(one * one for one in coming))
    together = off / math.sqrt(max(len(recent), 1)) * sum(coming)
    band = _BAND_SIGMAS * math.hypot(alone, together)
    return Forecast(
        usd=_cents(spent, expected),
        low_usd=_cents(spent, max(expected - band, 0.0)),
        high_usd=_cents(spent, expected + band),
        method=method,
    )


def burn_per_day(history: Mapping[date, Decimal], today: date) -> Decimal:
    """The mean of the last seven full days, to the cent."""
    week = (today - timedelta(days=back) for back in range(1, 8))
    return (sum((history.get(day, Decimal(0)) for day in week), Decimal(0)) / 7).quantize(_CENT)


def _days(history: Mapping[date, Decimal], today: date) -> list[date]:
    """The full days that are looked at, oldest first: none before the first spend."""
    spent = [day for day, usd in history.items() if usd and day < today]
    if not spent:
        return []
    first = max(min(spent), today - timedelta(days=HISTORY_DAYS))
    return [first + timedelta(days=number) for number in range((today - first).days)]


def _usual(days: Sequence[date], history: Mapping[date, Decimal]) -> tuple[list[float], str]:
    """What each weekday usually costs, Monday first, and the method's name."""
    spent = [(day.weekday(), float(history.get(day, Decimal(0)))) for day in days]
    if len(days) < _TWO_WEEKS:
        return [middle([usd for _, usd in spent])] * 7, "daily_median"
    usual = [middle([usd for its, usd in spent if its == weekday]) for weekday in range(7)]
    return usual, "weekday_median"


def _coming(
    usual: Sequence[float], today: date, last_day: date, share_of_today_left: float
) -> list[float]:
    """What each day to come usually costs, the rest of today first."""
    rest = [today + timedelta(days=ahead) for ahead in range(1, (last_day - today).days + 1)]
    return [
        usual[today.weekday()] * share_of_today_left,
        *(usual[day.weekday()] for day in rest),
    ]


def _cents(spent: Decimal, more: float) -> Decimal:
    return (spent + Decimal(more)).quantize(_CENT)
