from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.api.chargeback import Difference, Line, Reconciliation, Statement
from dashboard.api.limits import LimitState
from dashboard.api.policies import ShadowCount
from dashboard.api.reliability import RefusalRow, ReliabilityRow, Spread
from dashboard.formats import Currency
from dashboard.frames import control, reliability

AT = datetime(2026, 11, 20, tzinfo=UTC)
PICO = Decimal("0.000000000001")
MONEY = st.integers(0, 10**24).map(lambda amount: amount * PICO)


@settings(deadline=None)
@given(st.lists(st.tuples(MONEY, MONEY), max_size=20))
def test_a_statement_s_total_is_the_sum_of_its_lines(spent: list[tuple[Decimal, Decimal]]):
    lines = [
        Line(None, None, requests=1, direct_usd=own, shared_usd=shared, usd=own)
        for own, shared in spent
    ]
    total = Decimal(sum(int(own / PICO) for own, _ in spent))
    frame = control.statement_frame(
        Statement("acme", "2026-10", total * PICO, Decimal(0), Decimal(0), lines)
    )
    assert int(frame["usd"].iloc[-1] / PICO) == total
    assert frame["requests"].iloc[-1] == len(spent)


def test_the_largest_difference_to_an_invoice_stands_first():
    rows = [
        Difference("a", Decimal(1), Decimal(1), Decimal(0)),
        Difference(None, Decimal(0), Decimal(3), Decimal(-3), "not invoiced"),
    ]
    found = Reconciliation(rows, Decimal(1), Decimal(4), Decimal(-3))
    frame = control.differences_frame(found)
    assert frame["model"].to_list() == ["(untagged)", "a", "Total"]
    assert frame["difference_usd"].iloc[-1] == Decimal(-3)


def test_the_fullest_limit_stands_first_and_one_of_nothing_is_full():
    states = [
        LimitState("team:half", "usd_per_month", Decimal(10), used=Decimal(4), reserved=Decimal(1)),
        LimitState("team:none", "tokens_per_day", Decimal(0), used=Decimal(1)),
        LimitState("team:more", "usd_per_month", Decimal(10), raised=Decimal(10), used=Decimal(12)),
    ]
    frame = control.states_frame(states, Currency())
    assert frame["node"].to_list() == ["team:none", "team:more", "team:half"]
    assert frame["used_percent"].to_list() == [100.0, 60.0, 50.0]
    assert frame["raised"].to_list() == ["", "$10.00", ""]


def test_what_a_shadow_came_to_is_summed_by_team():
    counts = [
        ShadowCount(AT, "acme", "a", evaluated=10, differing=1),
        ShadowCount(AT, "acme", "b", evaluated=10, differing=5, failed=1),
        ShadowCount(AT, "acme", "a", evaluated=10, differing=1, dropped=2),
    ]
    frame = control.shadow_frame(counts)
    assert frame["team"].to_list() == ["b", "a"]
    assert frame["share"].to_list() == [50.0, 10.0]


def test_groups_that_were_not_measured_are_not_drawn():
    rows = [
        ReliabilityRow(
            requests=3, keys={"provider": "openai", "model": "x"}, total_ms=Spread(3, 1, 1, 2, 3)
        ),
        ReliabilityRow(requests=9, failed=9, errors={"timeout": 9}, keys={"provider": None}),
    ]
    assert reliability.latency_frame(rows, "total_ms")["name"].to_list() == ["openai · x"]
    assert not len(reliability.latency_frame(rows, "first_token_ms"))
    assert reliability.errors_frame(rows)["count"].to_list() == [9]
    fares = reliability.fares_frame(rows)
    assert fares["name"].to_list() == ["(untagged)", "openai · x"]
    assert fares["failed_share"].to_list() == [1.0, 0.0]


def test_the_most_frequent_refusal_stands_first():
    rows = [
        RefusalRow({"code": "a"}, 1),
        RefusalRow({"code": None}, 5, AT, "told"),
    ]
    frame = reliability.refusals_frame(rows, ("code",), "Europe/Berlin")
    assert frame["code"].to_list() == ["", "a"]
    assert frame["last_at"].iloc[0].hour == 1
