from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard import frames
from dashboard.frames import Grouping
from dashboard.usage_api import BudgetRow, CallRow, SpendRow

PICO = Decimal("0.000000000001")
MONEY = st.integers(0, 10**18).map(lambda amount: amount * PICO)


def _spend(department: str, team: str, model: str, usd: str | Decimal) -> SpendRow:
    return SpendRow(department, team, model, 2, 10, 5, Decimal(usd))


SPEND = (
    _spend("Risk", "fraud", "gpt-4o", "0.1"),
    _spend("Risk", "fraud", "claude", "0.2"),
    _spend("Risk", "credit", "gpt-4o", "0.000000000001"),
    _spend("HR", "people", "gpt-4o", "5"),
)


@settings(deadline=None)  # frames are slow to build on a busy machine
@given(st.lists(MONEY))
def test_the_total_is_exact_to_the_last_digit(amounts: list[Decimal]):
    spend = [_spend("d", f"t{place % 3}", "m", usd) for place, usd in enumerate(amounts)]
    expected = sum(int(usd / PICO) for usd in amounts)
    for grouping in Grouping:
        frame = frames.spend_frame(spend, grouping)
        assert int(frame["usd"].iloc[-1] / PICO) == expected
        assert int(sum(frame["usd"].iloc[:-1], Decimal(0)) / PICO) == expected
    assert int(frames.totals(spend, ()).usd / PICO) == expected


@pytest.mark.parametrize(
    ("grouping", "keys"),
    [
        (Grouping.DEPARTMENT, [("HR",), ("Risk",), ("Total",)]),
        (Grouping.TEAM, [("HR", "people"), ("Risk", "fraud"), ("Risk", "credit"), ("Total", "")]),
        (Grouping.MODEL, [("gpt-4o",), ("claude",), ("Total",)]),
    ],
)
def test_spend_is_summed_up_dearest_first_with_the_total_last(
    grouping: Grouping, keys: list[tuple[str, ...]]
):
    frame = frames.spend_frame(SPEND, grouping)
    found = frame.iloc[:, : len(keys[0])].itertuples(index=False, name=None)
    assert list(found) == keys
    assert frame["usd"].iloc[-1] == Decimal("5.300000000001")
    assert frame["requests"].iloc[-1] == 8
    assert frame["input_tokens"].iloc[-1] == 40


def test_nothing_spent_is_a_total_of_nothing():
    frame = frames.spend_frame((), Grouping.ALL)
    assert frame["usd"].to_list() == [Decimal(0)]


def test_the_month_in_four_numbers():
    budgets = (
        BudgetRow("Risk", "fraud", Decimal("0.4"), Decimal("0.3")),
        BudgetRow("HR", "people", None, Decimal(5)),
    )
    totals = frames.totals(SPEND, budgets)
    assert (totals.requests, totals.tokens) == (8, 60)
    assert totals.budget_usd == Decimal("0.4")
    assert totals.used_share == Decimal("0.75")


def test_without_a_budget_there_is_no_share():
    totals = frames.totals((), (BudgetRow("HR", "people", None, Decimal(5)),))
    assert totals.budget_usd is None
    assert totals.used_share is None


def test_the_most_used_budget_comes_first_and_none_last():
    frame = frames.budget_frame(
        (
            BudgetRow("A", "no budget", None, Decimal(9)),
            BudgetRow("A", "half", Decimal(10), Decimal(5)),
            BudgetRow("A", "over", Decimal(10), Decimal(15)),
            BudgetRow("A", "nothing allowed", Decimal(0), Decimal(1)),
        )
    )
    assert frame["team"].to_list() == ["over", "nothing allowed", "half", "no budget"]
    assert frame["used_percent"].to_list()[:3] == [150.0, 100.0, 50.0]
    assert frame["budget_usd"].iloc[-1] is None


def test_the_chart_has_one_line_for_a_team_and_model():
    frame = frames.team_model_frame((*SPEND, _spend("Risk", "fraud", "gpt-4o", "0.7")))
    assert len(frame) == 4
    assert frame["usd"].iloc[0] == Decimal("0.8")


def test_months_go_back_over_the_turn_of_the_year():
    assert frames.months(date(2026, 2, 28), 4) == ["2026-02", "2026-01", "2025-12", "2025-11"]


def test_calls_are_shown_in_utc_with_what_is_known():
    zone = timezone(timedelta(hours=2))
    frame = frames.recent_frame(
        (
            CallRow(
                at=datetime(2026, 11, 20, 1, tzinfo=zone),
                team="fraud",
                asked_model="smart",
                served_model=None,
                http_status=429,
                error_class="rate_limited",
                input_tokens=None,
                output_tokens=None,
                usd=Decimal(0),
            ),
            CallRow(
                at=datetime(2026, 11, 19, tzinfo=UTC),
                team="fraud",
                asked_model="smart",
                served_model="gpt-4o",
                http_status=200,
                error_class="none",
                input_tokens=7,
                output_tokens=3,
                usd=Decimal("0.00001"),
                total_ms=12.5,
            ),
        )
    )
    assert frame["at"].iloc[0] == datetime(2026, 11, 19, 23)  # noqa: DTZ001 - UTC, said by its heading
    assert frame["tokens"].isna().to_list() == [True, False]
    assert frame["tokens"].iloc[1] == 10
    assert frame["usd"].to_list() == [Decimal(0), Decimal("0.00001")]
