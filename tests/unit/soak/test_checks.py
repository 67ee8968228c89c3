from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from sandbox.calls import Ended
from tests.soak.books import Row
from tests.soak.checks import (
    Case,
    answered_right,
    budget_held,
    ledger_exact,
    reached_decided,
)
from tests.soak.faults import Part, Trouble
from tests.soak.questions import Kind, question
from tests.soak.served import Record, Served
from tests.soak.verdicts import Answer, End

ASKED = next(
    one
    for one in (question(1, number) for number in range(500))
    if one.kind is Kind.SERVED and one.model == "openai" and not one.is_embedding
)
ANSWER = Answer(
    End.WHOLE,
    0,
    1,
    status=200,
    decision_id="dec_1",
    cost_usd="0.00007",
    input_tokens=20,
    output_tokens=25,
)
ROW = Row("dec_1", "d", "team", "provider", "none", "openai-1", (20, 25), Decimal("0.000070"))
CALL = Served(
    ASKED.mark,
    "openai",
    status=200,
    ended=Ended.COMPLETE,
    sent_events=1,
    input_tokens=20,
    output_tokens=25,
)
CASE = Case(ASKED, ANSWER, (ROW,), (CALL,))


def faults(case: Case, rows: list[Row] | None = None) -> list[str]:
    rows = list(case.rows) if rows is None else rows
    summed = (len(rows), sum((row.usd for row in rows), Decimal(0)))
    return ledger_exact([case], rows, summed).faults


def with_row(**changed: Any) -> Case:
    return replace(CASE, rows=(replace(ROW, **changed),))


def test_a_row_that_says_what_was_served_is_right() -> None:
    assert faults(CASE) == []
    assert ledger_exact([CASE], [ROW], (1, ROW.usd)).is_good


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (replace(CASE, rows=()), "without a row"),
        (replace(CASE, rows=(ROW, ROW)), "more than one row"),
        (with_row(decision_id="dec_2"), "of another decision"),
        (with_row(team="poor"), "is of poor"),
        (with_row(usd=Decimal("0.00006")), "price"),
        (with_row(tokens=(20, 26), usd=Decimal("0.000072")), "no provider served"),
        (with_row(tokens=(0, 0), usd=Decimal(0)), "for nothing"),
        (with_row(source="estimated", tokens=(20, 24), usd=Decimal("0.000068")), "at less"),
        (with_row(source="counted", tokens=(20, 900), usd=Decimal("0.00182")), "at worst"),
        (with_row(source="invented"), "a source that is none"),
        (replace(CASE, answer=replace(ANSWER, output_tokens=24)), "the client was told"),
        (replace(CASE, answer=replace(ANSWER, cost_usd="1")), "the client was told"),
        (replace(CASE, calls=()), "no provider served"),
    ],
)
def test_a_row_that_says_otherwise_is_found(bad: Case, fault: str) -> None:
    assert any(fault in one for one in faults(bad))


def test_a_row_of_nobody_and_sums_that_differ_are_found() -> None:
    assert "a row of no question" in faults(CASE, [ROW, replace(ROW, decision_id="dec_9")])[0]
    assert not ledger_exact([CASE], [ROW], (1, Decimal(0))).is_good


def test_an_estimate_above_what_was_served_is_right() -> None:
    usd = Decimal("0.000260")
    dear = with_row(source="estimated", tokens=(20, 120), usd=usd)
    assert faults(replace(dear, answer=replace(ANSWER, cost_usd=None))) == []


def test_who_reaches_a_provider_was_let_in() -> None:
    record = Record({ASKED.mark: [CALL]})
    assert reached_decided([CASE], record, {"dec_1"}, []).is_good
    assert not reached_decided([CASE], record, set(), []).is_good
    assert not reached_decided([replace(CASE, rows=())], record, {"dec_1"}, []).is_good
    refused = replace(CASE, question=replace(ASKED, kind=Kind.FORBIDDEN))
    assert not reached_decided([refused], record, {"dec_1"}, []).is_good
    assert not reached_decided([CASE], Record({}, unmarked=1), {"dec_1"}, []).is_good


def test_a_decision_may_be_missing_in_the_log_only_if_its_process_was_killed() -> None:
    record = Record({ASKED.mark: [CALL]})
    assert reached_decided([CASE], record, set(), [0.5]).is_good
    assert not reached_decided([CASE], record, set(), [60.0]).is_good
    assert not reached_decided([replace(CASE, rows=())], record, set(), [0.5]).is_good


def test_who_left_is_charged_for_what_came() -> None:
    usd = Decimal("0.000020")
    left = with_row(source="estimated", error_class="client_gone", tokens=(20, 0), usd=usd)
    assert faults(replace(left, answer=replace(ANSWER, end=End.LEFT, cost_usd=None))) == []


def test_what_trouble_excuses_is_wrong_without_it() -> None:
    broken = replace(CASE, answer=replace(ANSWER, end=End.BROKEN))
    assert answered_right([broken], [Trouble(0, 5, Part.OPA)], 0).is_good
    assert not answered_right([broken], [Trouble(4, 5, Part.OPA)], 0).is_good


def test_the_database_excuses_only_keys_that_are_not_known() -> None:
    trouble = [Trouble(0, 5, Part.POSTGRES)]
    error = {"message": "", "type": "", "param": None, "code": "policy_unavailable"}
    unavailable = replace(ANSWER, status=503, error=error)
    known = replace(CASE, answer=unavailable)
    assert not answered_right([known], trouble, 0).is_good
    unknown = replace(known, question=replace(ASKED, kind=Kind.WRONG_KEY))
    assert answered_right([unknown], trouble, 0).is_good
    # Redis was away just before: counters are made anew, and the ledger is asked for that.
    both = [Trouble(-30, -10, Part.REDIS), *trouble]
    assert answered_right([known], both, 0).is_good
    long_before = [Trouble(-60, -30, Part.REDIS), *trouble]
    assert not answered_right([known], long_before, 0).is_good


def test_a_budget_that_was_passed_is_found() -> None:
    poor = replace(ROW, team="poor")
    assert budget_held([poor]).is_good
    assert not budget_held([replace(poor, usd=Decimal(1))]).is_good
