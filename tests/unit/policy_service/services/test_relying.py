"""How decisions rely on approvals, with real limits in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from kong_plugins.llm_token_meter.report import reservation_of
from llm_core.errors import PolicyUnavailable
from llm_core.operation import Operation
from llm_core.policy.approvals import ApprovalGrant
from llm_core.policy.call import Call
from llm_core.policy.decision import Decision, DecisionRequest, Reason
from llm_core.policy.limits import Limit, Measure
from policy_service.ports.approvals import OpenRequest
from policy_service.services.decide import Decider
from policy_service.services.relying import named, told_amounts, used_up
from tests.fakes.approvals import StandingApprovals
from tests.fakes.clock import NOON
from tests.fakes.policy import FakePolicy
from tests.fakes.samples import CALLER, chat_body, chat_call
from tests.unit.policy_service.services.test_decide import Service

CALL = chat_call(chat_body(model="mini"))
# 10 tokens in and 100 out, at one and two dollars a million, with the estimate's margin.
ONE_CALL = Decimal("0.00021")


def grant(name: str, amount: str | None = None, days: int = 1) -> ApprovalGrant:
    usd = None if amount is None else Decimal(amount)
    return ApprovalGrant(name, "team:search", ("mini",), NOON + timedelta(days=days), usd)


def deciding(
    grants: Sequence[ApprovalGrant] = (), waiting: Sequence[OpenRequest] = ()
) -> tuple[Service, Decider]:
    service = Service(policy=FakePolicy(needs_approval=True))
    return service, replace(service.decider(), approvals=StandingApprovals(grants, waiting))


async def decide(decider: Decider, call: Call = CALL) -> Decision:
    return await decider.decide(DecisionRequest(CALLER, call))


def error_of(made: Decision) -> dict[str, Any]:
    assert made.denial
    error: dict[str, Any] = made.denial.body["error"]
    return error


async def test_without_one_the_denial_says_how_to_ask() -> None:
    _, decider = deciding()
    error = error_of(await decide(decider))
    [reason] = error["reasons"]
    assert (error["code"], reason["code"]) == ("policy_denied", "approval_required")
    assert reason["message"] == "The model mini needs an approval, and none holds for you."
    assert "gatehouse approvals request --model mini" in error["message"]
    assert "POST /v1/approvals" in reason["solution"]


async def test_a_request_that_waits_is_told_with_its_id_and_since_when() -> None:
    waiting = OpenRequest("apr_7", "team:search", ("mini",), NOON - timedelta(hours=2))
    _, decider = deciding(waiting=[waiting])
    message = error_of(await decide(decider))["message"]
    assert "apr_7" in message
    assert "2026-11-20 10:00 UTC" in message


async def test_a_grant_without_a_cap_is_named_and_adds_no_limit() -> None:
    service, decider = deciding([grant("apr_1")])
    made = await decide(decider)
    assert (made.denial, made.approval, made.approval_usd) == (None, "apr_1", None)
    reservation = await service.limits.find(made.decision_id)
    assert reservation is not None
    assert (reservation.approval, reservation.caller.limits) == ("apr_1", CALLER.limits)


async def test_a_cap_is_reserved_from_like_any_other_limit() -> None:
    service, decider = deciding([grant("apr_1", "1")])
    made = await decide(decider)
    assert (made.approval, made.approval_usd) == ("apr_1", Decimal(1))
    cap = Limit("approval:apr_1", Measure.USD_PER_30_DAYS, Decimal(1))
    reservation = await service.limits.find(made.decision_id)
    assert reservation is not None
    assert await service.used(cap) == [reservation.usd]


async def test_what_the_plugin_brings_back_counts_for_the_same_approval() -> None:
    service, decider = deciding([grant("apr_1", "1")])
    made = await decide(decider)
    kept = await service.limits.find(made.decision_id)
    assert kept is not None
    handed = msgspec.json.decode(msgspec.json.encode(made), type=Decision)
    rebuilt = reservation_of(handed, CALL, CALLER)
    assert (rebuilt.approval, rebuilt.caller.limits) == (kept.approval, kept.caller.limits)


async def test_over_the_cap_the_refusal_says_so_and_how_to_ask_for_more() -> None:
    service, decider = deciding([grant("apr_1", "0.00001")])
    made = await decide(decider)
    error = error_of(made)
    assert made.denial is not None
    assert (made.denial.status, error["code"]) == (429, "insufficient_quota")
    assert made.denial.headers["x-gatehouse-budget-remaining-usd"] == "0.00001"
    assert made.denial.headers["x-should-retry"] == "false"
    assert "approval apr_1 ($0.00001 until 2026-11-21 12:00 UTC)" in error["message"]
    assert "gatehouse approvals request --model mini" in error["message"]
    assert await service.limits.find(made.decision_id) is None


async def test_what_is_too_small_says_what_the_call_can_cost_and_what_is_covered() -> None:
    said = Reason("approval_too_small", "Too small.", "llm.approvals", "Lower max_tokens.")
    service = Service(policy=FakePolicy(reasons=(said,)))
    grants = [grant("apr_1", "0.0001"), grant("apr_2", "0.00005"), grant("apr_3")]
    decider = replace(service.decider(), approvals=StandingApprovals(grants))
    [reason] = error_of(await decide(decider))["reasons"]
    assert reason["message"] == (
        f"This call can cost ${ONE_CALL}, more than the $0.0001 that your approval apr_1 covers."
    )
    assert reason["solution"] == "Lower max_tokens."


def test_a_cost_that_nobody_knows_is_told_as_more() -> None:
    said = Reason("approval_too_small", "Too small.", "llm.approvals")
    [reason] = told_amounts([said], "mini", [grant("apr_1", "20")], [])
    assert reason.message == "This call can cost more than the $20 that your approval apr_1 covers."
    assert told_amounts([said], "mini", [grant("apr_1")], []) == (said,)
    assert told_amounts([said], "large", [grant("apr_1", "20")], []) == (said,)


async def test_of_several_the_first_with_room_is_relied_on() -> None:
    grants = [grant("apr_1", "0.00001"), grant("apr_2", "0.00001"), grant("apr_3", "1")]
    service, decider = deciding(grants)
    assert (await decide(decider)).approval == "apr_3"
    assert len(service.policy.documents) == 3


async def test_when_none_has_room_the_first_is_told_of() -> None:
    _, decider = deciding([grant("apr_1", "0.00001"), grant("apr_2", "0.00002")])
    assert "apr_1" in error_of(await decide(decider))["message"]


async def test_a_budget_that_is_spent_is_not_taken_for_the_approvals() -> None:
    _, decider = deciding([grant("apr_1", "1"), grant("apr_2")])
    poor = Limit("team:search", Measure.USD_PER_MONTH, Decimal("0.00001"))
    made = await decider.decide(DecisionRequest(replace(CALLER, limits=(poor,)), CALL))
    assert "team:search" in error_of(made)["message"]
    assert made.approval is None


async def test_policy_sees_the_grants_also_when_it_lists_models() -> None:
    service, decider = deciding([grant("apr_1", "2.5")])
    await decider.decide(DecisionRequest(CALLER, Call(Operation.MODELS)))
    [document] = service.policy.documents
    assert [one["id"] for one in document["approvals"]] == ["apr_1"]


async def test_where_nobody_takes_requests_the_path_does_not_exist() -> None:
    _, decider = deciding()
    made = await decider.decide(DecisionRequest(CALLER, Call(Operation.APPROVALS)))
    assert error_of(made)["code"] == "not_found"


def test_an_approval_that_nobody_offered_is_no_decision() -> None:
    assert named([grant("apr_1")], None) is None
    with pytest.raises(PolicyUnavailable):
        named([grant("apr_1")], "apr_2")


def test_amounts_are_told_without_idle_zeros() -> None:
    assert "($50 until" in str(used_up(grant("apr_1", "50.000000"), "mini"))
