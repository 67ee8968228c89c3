"""Who is told of what, and when."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from llm_core.alerts.incident import IncidentKind, Severity
from llm_core.alerts.routing import ChannelRule, QuietHours, Routes, wait_s

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = QuietHours(time(22), time(7), BERLIN)
WEEKEND = QuietHours(time(0), time(0), BERLIN, frozenset({5, 6}))


def local(day: int, hour: int, minute: int = 0, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=BERLIN).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        (local(18, 21, 59), None),
        (local(18, 22), local(19, 7)),
        (local(19, 3), local(19, 7)),
        (local(19, 7), None),
    ],
)
def test_quiet_hours_go_over_midnight(now: datetime, ends: datetime | None) -> None:
    assert NIGHT.end_after(now) == ends


def test_quiet_hours_are_those_of_the_clock_when_it_changes() -> None:
    # On 2026-10-25 the night is an hour longer.
    assert NIGHT.end_after(local(24, 23, month=10)) == datetime(2026, 10, 25, 6, tzinfo=UTC)
    assert NIGHT.end_after(local(23, 23, month=10)) == datetime(2026, 10, 24, 5, tzinfo=UTC)


def test_quiet_hours_that_follow_each_other_are_one() -> None:
    rule = ChannelRule("ops", quiet=(NIGHT, WEEKEND))
    friday_night = local(20, 23)
    assert rule.due(Severity.WARNING, friday_night) == local(23, 7)
    assert rule.due(Severity.CRITICAL, friday_night) == friday_night


def test_days_are_those_on_which_quiet_hours_begin() -> None:
    friday_only = QuietHours(time(22), time(7), BERLIN, frozenset({4}))
    assert friday_only.end_after(local(21, 3)) == local(21, 7)
    assert friday_only.end_after(local(22, 3)) is None


def test_who_is_always_quiet_is_told_in_the_end() -> None:
    always = QuietHours(time(0), time(0), BERLIN)
    now = local(18, 12)
    assert ChannelRule("x", quiet=(always,)).due(Severity.INFO, now) < now + timedelta(days=30)


def test_a_channel_takes_its_kinds_and_nothing_less_severe() -> None:
    now = local(18, 12)
    routes = Routes(
        (
            ChannelRule("all"),
            ChannelRule("money", frozenset({IncidentKind.BUDGET})),
            ChannelRule("night", least=Severity.CRITICAL),
        )
    )
    assert set(routes.due(IncidentKind.BUDGET, Severity.WARNING, now)) == {"all", "money"}
    assert set(routes.due(IncidentKind.BACKLOG, Severity.CRITICAL, now)) == {"all", "night"}
    assert routes.due_at("gone", Severity.INFO, now) == now


def test_each_wait_is_twice_as_long_up_to_a_quarter_of_an_hour() -> None:
    assert [wait_s(n) for n in (1, 2, 3, 8, 9, 10_000)] == [5, 10, 20, 640, 900, 900]
