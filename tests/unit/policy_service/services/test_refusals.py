from decimal import Decimal

import pytest

from llm_core.errors import (
    BudgetExhausted,
    GatewayError,
    PolicyDenied,
    RateLimited,
    UnknownModel,
    UnpricedModel,
)
from llm_core.policy.decision import Reason
from llm_core.policy.limits import Limit, Measure
from policy_service.ports.limits import Refused
from policy_service.services.refusals import from_limits, from_reasons, refusal

BUDGET = Reason("budget_exhausted", "The money is spent.", "llm.budgets", "Ask for more.")
UNPRICED = Reason("unpriced_model", "It has no price.", "llm.prices")
MODEL = Reason("model_not_allowed", "Not this model.", "llm.models", "Ask your team.")


@pytest.mark.parametrize(
    ("reasons", "kind"),
    [
        ((), PolicyDenied),
        ((MODEL,), PolicyDenied),
        ((MODEL, BUDGET), PolicyDenied),
        ((MODEL, UNPRICED, BUDGET), PolicyDenied),
        ((BUDGET,), BudgetExhausted),
        ((BUDGET, UNPRICED), BudgetExhausted),
        ((UNPRICED,), UnpricedModel),
        ((Reason("new_rule", "No.", "llm.new"),), PolicyDenied),
    ],
)
def test_what_to_act_on_first_decides_the_error(
    reasons: tuple[Reason, ...], kind: type[GatewayError]
) -> None:
    assert type(from_reasons(reasons)) is kind


def test_every_reason_is_told_once_with_its_solution() -> None:
    error = from_reasons((MODEL, MODEL, BUDGET))
    assert error.public_message == (
        "Not this model. Ask your team. The money is spent. Ask for more."
    )
    assert [reason["code"] for reason in error.details["reasons"]] == [
        "model_not_allowed",
        "model_not_allowed",
        "budget_exhausted",
    ]


def test_a_denial_without_reasons_still_says_something() -> None:
    assert from_reasons(()).public_message == "Policy does not allow this call."


def limit(measure: Measure, amount: str = "10") -> Limit:
    return Limit("team:search", measure, Decimal(amount))


def test_spent_money_is_not_to_be_retried() -> None:
    error = from_limits(Refused(limit(Measure.USD_PER_MONTH, "12.50"), None, ()))
    assert isinstance(error, BudgetExhausted)
    assert "team:search ($12.5)" in error.public_message
    assert error.headers == {"x-should-retry": "false"}


@pytest.mark.parametrize("measure", [Measure.REQUESTS_PER_MINUTE, Measure.TOKENS_PER_MINUTE])
def test_a_limit_per_minute_says_when_to_try_again(measure: Measure) -> None:
    error = from_limits(Refused(limit(measure), 2.1, ()))
    assert isinstance(error, RateLimited)
    assert error.headers == {"retry-after": "3"}
    assert measure.value.split("_", maxsplit=1)[0] in error.public_message


def test_a_call_larger_than_the_limit_is_told_that_waiting_does_not_help() -> None:
    error = from_limits(Refused(limit(Measure.TOKENS_PER_MINUTE), None, ()))
    assert error.headers == {"x-should-retry": "false"}
    assert "Lower max_tokens" in error.public_message


def test_a_refusal_is_a_decision_with_an_id_and_nothing_to_carry_out() -> None:
    said = refusal("dec_1", UnknownModel("no"), revision="r", headers={"x-ratelimit-a": "1"})
    assert said.denial
    assert said.denial.status == 404
    assert said.denial.body["error"]["code"] == "model_not_found"
    assert said.denial.headers == {"x-ratelimit-a": "1", "x-gatehouse-decision-id": "dec_1"}
    assert (said.ticket, said.deployments, said.answer) == ("", (), None)
