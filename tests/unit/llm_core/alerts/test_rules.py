"""When something is an incident, and when it is none any more."""

from datetime import timedelta
from decimal import Decimal

import pytest

from llm_core.alerts.incident import IncidentKind, Severity
from llm_core.alerts.rules import (
    AlertRules,
    Backlog,
    ErrorRate,
    JournalGrowing,
    severity_of_threshold,
    short_usd,
)


@pytest.mark.parametrize(
    ("calls", "failed", "is_open", "is_wrong"),
    [
        (20, 4, False, True),
        (20, 3, False, False),
        (19, 19, False, False),
        (20, 3, True, True),
        (20, 1, True, False),
        (1, 1, True, True),
        (0, 0, True, False),
    ],
)
def test_a_rate_opens_high_and_closes_low(
    calls: int, failed: int, is_open: bool, is_wrong: bool
) -> None:
    assert ErrorRate().is_wrong(calls, failed, is_open=is_open) is is_wrong


def test_a_journal_grows_when_enough_waits_for_long_enough_and_until_nothing_does() -> None:
    rule = JournalGrowing(10, timedelta(minutes=5))

    def is_wrong(waiting: int, minutes: int, *, is_full: bool = False, is_open: bool) -> bool:
        since = timedelta(minutes=minutes)
        return rule.is_wrong(waiting, since, is_full=is_full, is_open=is_open)

    assert not is_wrong(10, 4, is_open=False)
    assert not is_wrong(9, 5, is_open=False)
    assert is_wrong(10, 5, is_open=False)
    assert is_wrong(1, 0, is_open=True)
    assert not is_wrong(0, 60, is_open=True)
    assert is_wrong(0, 0, is_full=True, is_open=False)


def test_a_backlog_is_over_at_half() -> None:
    rule = Backlog(100)
    assert [rule.is_wrong(n, is_open=False) for n in (99, 100)] == [False, True]
    assert [rule.is_wrong(n, is_open=True) for n in (49, 50)] == [False, True]


def test_budgets_are_not_told_again_and_the_rest_daily() -> None:
    rules = AlertRules()
    assert rules.again_after_for(IncidentKind.BUDGET) is None
    assert rules.again_after_for(IncidentKind.BACKLOG) == timedelta(hours=24)


def test_thresholds_get_worse() -> None:
    found = [severity_of_threshold(percent) for percent in (50, 80, 99, 100, 120)]
    assert found == [Severity.INFO, *[Severity.WARNING] * 2, *[Severity.CRITICAL] * 2]


def test_money_is_short() -> None:
    assert [short_usd(Decimal(one)) for one in ("1234.567", "0", "0.0012")] == [
        "1,234.57 USD",
        "0.00 USD",
        "0.0012 USD",
    ]
