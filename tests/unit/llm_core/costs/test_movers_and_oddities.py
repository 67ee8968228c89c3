"""Whose spend changed, and how odd a day is."""

from datetime import date, timedelta
from decimal import Decimal
from math import inf

from llm_core.costs.anomaly import oddity
from llm_core.costs.movers import Moved, movers

DAY = date(2026, 11, 18)


def past(usd: int, days: int = 60, until: date = DAY) -> dict[date, Decimal]:
    return {until - timedelta(days=back): Decimal(usd) for back in range(1, days + 1)}


def test_the_largest_change_comes_first_whichever_way_it_goes() -> None:
    now = {"a": Decimal(5), "b": Decimal(1), "c": Decimal(7), "same": Decimal(3)}
    before = {"a": Decimal(4), "b": Decimal(9), "same": Decimal(3), "gone": Decimal(2)}
    assert movers(now, before, 3) == [
        Moved("b", Decimal(1), Decimal(9)),
        Moved("c", Decimal(7), Decimal(0)),
        Moved("gone", Decimal(0), Decimal(2)),
    ]
    assert movers(now, before, 1)[0].change_usd == -8


def test_a_day_like_its_weekday_is_not_odd() -> None:
    history = past(100) | {DAY: Decimal(105)}
    found = oddity(history, DAY)
    assert found is not None
    assert (found.usual_usd, found.score) == (100, 0.5)


def test_a_dear_weekday_is_usual_on_that_weekday() -> None:
    history = past(100)
    for weeks in range(1, 9):
        history[DAY - timedelta(weeks=weeks)] = Decimal(1000)
    assert (found := oddity(history | {DAY: Decimal(1000)}, DAY)) is not None
    assert found.score == 0
    other = DAY + timedelta(days=1)
    assert (found := oddity(history | {other: Decimal(1000)}, other)) is not None
    assert found.score > 50


def test_what_is_dear_at_every_months_end_is_no_news() -> None:
    end = date(2026, 11, 30)
    history = past(100, until=end)
    for day in history:
        if (day + timedelta(days=3)).month != day.month:
            history[day] = Decimal(1000)
    assert (found := oddity(history | {end: Decimal(1000)}, end)) is not None
    assert found.score == 0


def test_spend_where_there_never_was_any_is_as_odd_as_can_be() -> None:
    history = {DAY - timedelta(days=60): Decimal(0), DAY: Decimal(1)}
    assert (found := oddity(history, DAY)) is not None
    assert found.score == inf
    assert (found := oddity({DAY - timedelta(days=60): Decimal(0)}, DAY)) is not None
    assert found.score == 0


def test_two_weeks_say_nothing_yet() -> None:
    assert oddity(past(100, days=14), DAY) is None
    assert oddity({}, DAY) is None
