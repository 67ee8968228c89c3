from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from llm_core.policy.approvals import (
    STEPS,
    ApprovalGrant,
    ApprovalState,
    BadTerms,
    Side,
    Step,
    StepFault,
    StepRefused,
    Terms,
    cap_of,
    differences,
    granted_terms,
    holders,
    in_order,
    is_same_person,
    require_reason,
    state_after,
    terms_of,
    with_limit,
)
from llm_core.policy.limits import Measure
from tests.fixtures.policy_inputs import CALLER

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ASKED = Terms(Decimal(50), NOW + 7 * DAY)


def after(step: Step, state: ApprovalState, *sides: Side, same: bool = False) -> ApprovalState:
    return state_after(step, state, sides=sides, is_same_person=same, reason="because")


@pytest.mark.parametrize("step", [one for one in Step if one is not Step.REQUEST])
@pytest.mark.parametrize("state", list(ApprovalState))
@pytest.mark.parametrize("side", list(Side))
def test_a_step_is_taken_exactly_where_the_table_has_it(
    step: Step, state: ApprovalState, side: Side
) -> None:
    rule = STEPS[step]
    if side in rule.sides and state in rule.before:
        assert after(step, state, side) is rule.after
    else:
        with pytest.raises(StepRefused):
            after(step, state, side)


def test_final_states_are_left_by_nobody() -> None:
    final = set(ApprovalState) - {ApprovalState.REQUESTED, ApprovalState.GRANTED}
    assert not any(rule.before & final for rule in STEPS.values())


@pytest.mark.parametrize("step", [Step.GRANT, Step.REFUSE])
def test_who_asked_does_not_decide_even_with_the_role(step: Step) -> None:
    both = (Side.REQUESTER, Side.APPROVER)
    with pytest.raises(StepRefused) as refused:
        after(step, ApprovalState.REQUESTED, *both, same=True)
    assert refused.value.fault is StepFault.SAME_PERSON


def test_who_may_not_is_told_so_before_the_state_is() -> None:
    with pytest.raises(StepRefused) as refused:
        after(Step.GRANT, ApprovalState.GRANTED, Side.REQUESTER)
    assert refused.value.fault is StepFault.NOT_THEM


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_a_refusal_and_a_revocation_say_why(reason: str) -> None:
    for step, state in (
        (Step.REFUSE, ApprovalState.REQUESTED),
        (Step.REVOKE, ApprovalState.GRANTED),
    ):
        with pytest.raises(BadTerms):
            state_after(step, state, sides={Side.APPROVER}, is_same_person=False, reason=reason)


def test_a_reason_is_a_text_that_databases_take() -> None:
    require_reason("", is_needed=False)
    require_reason("x" * 2000, is_needed=True)
    for reason in ("x" * 2001, "a\x00b"):
        with pytest.raises(BadTerms):
            require_reason(reason, is_needed=False)


def test_one_identity_in_common_is_one_person() -> None:
    assert is_same_person(["user:ada", "key:1"], ["application:x", "key:1"])
    assert not is_same_person(["user:ada"], ["user:sam"])
    assert not is_same_person([], [])


def test_left_out_it_is_for_a_week_without_a_cap() -> None:
    assert terms_of(None, None, NOW) == Terms(None, NOW + 7 * DAY)


@pytest.mark.parametrize(
    ("amount", "until", "field"),
    [
        (None, NOW, "until"),
        (None, NOW - DAY, "until"),
        (None, NOW + 366 * DAY, "until"),
        (None, datetime(2026, 12, 1), "until"),  # noqa: DTZ001 - that is the point
        (Decimal(1), NOW + 31 * DAY, "until"),
        (Decimal(0), None, "amount_usd"),
        (Decimal(-1), None, "amount_usd"),
        (Decimal("0.0000001"), None, "amount_usd"),
        (Decimal("NaN"), None, "amount_usd"),
        (Decimal("Infinity"), None, "amount_usd"),
        (Decimal("1e30"), None, "amount_usd"),
    ],
)
def test_terms_that_cannot_be_are_told_by_their_field(
    amount: Decimal | None, until: datetime | None, field: str
) -> None:
    with pytest.raises(BadTerms) as bad:
        terms_of(amount, until, NOW)
    assert bad.value.field == field


def test_the_longest_lives_are_taken() -> None:
    assert terms_of(None, NOW + 365 * DAY, NOW).until == NOW + 365 * DAY
    assert terms_of(Decimal("0.000001"), NOW + 30 * DAY, NOW).amount_usd == Decimal("0.000001")


def test_times_are_kept_in_utc() -> None:
    there = datetime.fromisoformat("2026-11-22T01:00:00+02:00")
    assert terms_of(None, there, NOW).until.tzinfo is UTC


@pytest.mark.parametrize(
    ("amount", "until", "found"),
    [
        (None, None, ()),
        (Decimal(10), None, ("cut",)),
        (Decimal(60), None, ("extend",)),
        (None, NOW + DAY, ("cut",)),
        (None, NOW + 9 * DAY, ("extend",)),
        (Decimal(10), NOW + 9 * DAY, ("cut", "extend")),
    ],
)
def test_less_is_a_cut_and_more_an_extension(
    amount: Decimal | None, until: datetime | None, found: tuple[str, ...]
) -> None:
    assert differences(ASKED, granted_terms(ASKED, amount, until, NOW)) == found


def test_a_cap_where_none_was_asked_for_is_a_cut() -> None:
    asked = Terms(None, NOW + 7 * DAY)
    assert differences(asked, granted_terms(asked, Decimal(5), None, NOW)) == ("cut",)


def test_what_was_asked_for_may_be_over_when_it_is_granted() -> None:
    late = NOW + 8 * DAY
    with pytest.raises(BadTerms):
        granted_terms(ASKED, None, None, late)
    assert granted_terms(ASKED, None, late + DAY, late).until == late + DAY


def test_a_cap_is_a_limit_over_30_days_on_the_approval() -> None:
    cap = cap_of("apr_1", Decimal(50))
    assert cap is not None
    assert (cap.node, cap.measure, cap.amount) == (
        "approval:apr_1",
        Measure.USD_PER_30_DAYS,
        Decimal(50),
    )
    assert cap_of("apr_1", None) is None
    limited = with_limit(CALLER, cap)
    assert limited.limits == (*CALLER.limits, cap)
    assert with_limit(limited, cap) is limited
    assert with_limit(CALLER, None) is CALLER


def test_a_caller_stands_at_user_application_project_and_team() -> None:
    assert holders(CALLER) == ("user:ada", "team:emea-sales")
    whole = replace(CALLER, application="shop", project="launch")
    assert holders(whole) == ("user:ada", "application:shop", "project:launch", "team:emea-sales")


def test_calls_rely_on_what_has_no_cap_first_and_then_on_what_ends_first() -> None:
    free = ApprovalGrant("apr_9", "team:a", ("m",), NOW + 9 * DAY)
    soon = ApprovalGrant("apr_5", "team:a", ("m",), NOW + DAY, Decimal(1))
    twin = replace(soon, id="apr_6")
    late = ApprovalGrant("apr_1", "team:a", ("m",), NOW + 2 * DAY, Decimal(1))
    assert in_order([late, twin, free, soon]) == (free, soon, twin, late)
