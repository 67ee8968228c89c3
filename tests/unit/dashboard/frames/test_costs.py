from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.api.costs import CostRow, Mover, Sums
from dashboard.frames import costs
from dashboard.frames.money import exact_sum, per, share

PICO = Decimal("0.000000000001")
MONEY = st.integers(0, 10**24).map(lambda amount: amount * PICO)
NAMES = st.sampled_from(["a", "b", "c", "d", None])


def _row(name: str | None, usd: str | Decimal, start: datetime | None = None) -> CostRow:
    return CostRow(
        requests=2,
        input_tokens=10,
        output_tokens=5,
        usd=Decimal(usd),
        keys={"team": name},
        start=start,
    )


@settings(deadline=None)  # frames are slow to build on a busy machine
@given(st.lists(st.tuples(NAMES, MONEY), max_size=30), st.integers(1, 3))
def test_no_sum_loses_a_digit(spent: list[tuple[str | None, Decimal]], most: int):
    begin = datetime(2026, 10, 24, tzinfo=UTC)
    rows = [
        _row(name, usd, begin + timedelta(hours=place)) for place, (name, usd) in enumerate(spent)
    ]
    expected = sum(int(usd / PICO) for _, usd in spent)
    trend = costs.trend_frame(rows, "team", "Europe/Berlin", most)
    assert int(exact_sum(trend["usd"]) / PICO) == expected
    assert trend["name"].nunique() <= most + 1
    groups = costs.breakdown_frame(rows, Sums(usd=exact_sum(usd for _, usd in spent)), "team")
    assert int(exact_sum(groups["usd"].iloc[:-1]) / PICO) == expected
    assert int(groups["usd"].iloc[-1] / PICO) == expected
    assert int(exact_sum(costs.export_frame(rows, ("team",))["usd"]) / PICO) == expected


def test_groups_stand_dearest_first_with_the_total_last_and_their_unit_costs():
    rows = [_row("cheap", "0.3"), _row(None, "1.5"), _row("dear", "2.7")]
    frame = costs.breakdown_frame(
        rows, Sums(requests=6, input_tokens=45, usd=Decimal("4.5")), "team"
    )
    assert frame["name"].to_list() == ["dear", "(untagged)", "cheap", "Total"]
    assert frame["share"].to_list() == pytest.approx([60, 100 / 3, 20 / 3, 100])
    assert frame["usd_per_request"].to_list()[0] == Decimal("1.35")
    assert frame["usd_per_1k_tokens"].to_list()[-1] == Decimal(100)


def test_a_day_is_a_day_where_it_is_read_also_when_clocks_change():
    """On 25 October 2026 Berlin has 25 hours; the roll-ups are by the hour in UTC."""
    begin = datetime(2026, 10, 24, 22, tzinfo=UTC)
    rows = [_row("a", 1, begin + timedelta(hours=hour)) for hour in range(25)]
    running = costs.running_frame(rows, "Europe/Berlin")
    assert running["day"].to_list()[-1] == 25
    assert running["usd"].to_list()[-2:] == [Decimal(0), Decimal(25)]


def test_the_course_of_a_month_has_no_gaps():
    rows = [_row("a", 1, datetime(2026, 11, day, tzinfo=UTC)) for day in (5, 2)]
    running = costs.running_frame(rows, "UTC")
    assert running["usd"].to_list() == [0, 1, 1, 1, 2]
    assert not len(costs.running_frame([], "UTC"))


def test_movers_stand_by_the_size_of_their_change():
    movers = [
        Mover("r", "up", Decimal(5), Decimal(1), Decimal(4)),
        Mover(None, None, Decimal(1), Decimal(9), Decimal(-8)),
    ]
    frame = costs.movers_frame(movers)
    assert frame["team"].to_list() == ["(untagged)", "up"]


def test_nothing_has_no_unit_costs_and_no_shares():
    assert costs.unit_costs(Sums(), 0) == costs.UnitCosts(None, None, None)
    assert per(Decimal(1), 0) is None
    assert share(1, 0) == 0
