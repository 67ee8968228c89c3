from decimal import Decimal
from typing import Any

import pytest

from llm_core.errors import (
    BudgetExhausted,
    GatewayError,
    PolicyDenied,
    RateLimited,
    UnknownModel,
    UnpricedModel,
)
from llm_core.operation import Operation
from llm_core.policy.decision import Reason
from llm_core.policy.limits import Limit, LimitState, Measure
from policy_service.ports.limits import Refused
from policy_service.services.refusals import (
    from_limits,
    from_reasons,
    out_of_scope,
    refusal,
    renewals,
)
from tests.fakes.clock import NOON

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


def limit(measure: Measure, amount: str = "10", **more: Any) -> Limit:
    return Limit("team:search", measure, Decimal(amount), **more)


def said(measure: Measure, retry_after_s: float | None, **more: Any) -> str:
    return from_limits(Refused(limit(measure, **more), retry_after_s, ()), NOON).public_message


MONEY = [measure for measure in Measure if measure.is_money]
RATES = [measure for measure in Measure if not measure.is_money]


@pytest.mark.parametrize("measure", MONEY)
def test_spent_money_is_not_to_be_retried(measure: Measure) -> None:
    error = from_limits(Refused(limit(measure, "12.50"), None, ()), NOON)
    assert isinstance(error, BudgetExhausted)
    assert "team:search ($12.5 " in error.public_message
    assert error.headers == {"x-should-retry": "false"}


def test_a_budget_by_the_calendar_says_when_it_renews_in_the_organisations_time() -> None:
    assert "($10 per day)" in said(Measure.USD_PER_DAY, None)
    assert "It renews at 2026-11-21 00:00 UTC." in said(Measure.USD_PER_DAY, None)
    assert "It renews at 2026-12-01 00:00 UTC." in said(Measure.USD_PER_MONTH, None)
    # Noon in London is nine in the evening in Tokyo.
    assert "It renews at 2026-11-21 00:00 Asia/Tokyo." in said(
        Measure.USD_PER_DAY, None, time_zone="Asia/Tokyo"
    )


@pytest.mark.parametrize(
    ("wait_s", "told"),
    [(30.0, "30.0 s"), (121, "3 min"), (7201, "3 h"), (86_400 * 2.5, "3 days")],
)
def test_a_budget_that_slides_says_after_how_long_it_fits(wait_s: float, told: str) -> None:
    sentence = said(Measure.USD_PER_24_HOURS, wait_s)
    assert "($10 in any 24 hours)" in sentence
    assert f"free again in {told}." in sentence
    assert "free again" not in said(Measure.USD_PER_30_DAYS, None)


@pytest.mark.parametrize("measure", RATES)
def test_a_limit_of_calls_or_tokens_says_when_to_try_again(measure: Measure) -> None:
    error = from_limits(Refused(limit(measure), 2.1, ()), NOON)
    assert isinstance(error, RateLimited)
    assert error.headers == {"retry-after": "3"}
    assert "team:search has reached its limit of 10 " in error.public_message


@pytest.mark.parametrize("measure", RATES)
def test_a_call_larger_than_the_limit_is_told_that_waiting_does_not_help(measure: Measure) -> None:
    error = from_limits(Refused(limit(measure), None, ()), NOON)
    assert error.headers == {"x-should-retry": "false"}
    assert "Lower max_tokens" in error.public_message or "requests" in measure


def test_a_wait_of_hours_is_told_and_not_left_to_the_sdk() -> None:
    error = from_limits(Refused(limit(Measure.TOKENS_PER_DAY), 7200, ()), NOON)
    assert error.headers == {"retry-after": "7200", "x-should-retry": "false"}
    assert "10 tokens per day" in error.public_message
    assert "Try again in 2 h." in error.public_message


def test_the_kind_of_tokens_is_named() -> None:
    assert "10 input tokens per minute" in said(Measure.INPUT_TOKENS_PER_MINUTE, 1)
    assert "10 output tokens per minute" in said(Measure.OUTPUT_TOKENS_PER_MINUTE, 1)
    assert "10 calls under way at once" in said(Measure.CONCURRENT_REQUESTS, 1)


@pytest.mark.parametrize(
    ("scope", "named"),
    [
        ("model:gpt-4o", "team:search for the model gpt-4o"),
        ("group:frontier", "team:search for the model group frontier"),
    ],
)
@pytest.mark.parametrize("measure", Measure)
@pytest.mark.parametrize("wait_s", [None, 1.0])
def test_every_limit_says_which_models_it_is_about(
    measure: Measure, wait_s: float | None, scope: str, named: str
) -> None:
    assert named in said(measure, wait_s, scope=scope)


@pytest.mark.parametrize("measure", Measure)
def test_a_batch_call_is_told_what_is_kept_from_it(measure: Measure) -> None:
    whole = limit(measure, interactive_share=Decimal("0.3"))
    refused = Refused(limit(measure, "7"), 1.0, ())
    told = from_limits(refused, NOON, whole=whole).public_message
    assert "30 % of the limit are kept for interactive calls." in told
    assert "kept" not in from_limits(refused, NOON).public_message
    assert "kept" not in from_limits(refused, NOON, whole=limit(measure)).public_message


def test_money_that_policy_found_spent_says_when_it_renews() -> None:
    states = (
        LimitState(limit(Measure.USD_PER_DAY, time_zone="Europe/Berlin"), Decimal(11), 100),
        LimitState(limit(Measure.USD_PER_30_DAYS, scope="model:o1"), Decimal(10), 3 * 3600),
        LimitState(limit(Measure.USD_PER_MONTH), Decimal(9), 1),
        LimitState(limit(Measure.TOKENS_PER_DAY), Decimal(10), 1),
    )
    told = renewals(states, NOON)
    assert told == (
        "The budget of team:search ($10 per day) is used up. It renews at 2026-11-21 00:00 "
        "Europe/Berlin. The budget of team:search for the model o1 ($10 in any 30 days) is used "
        "up. Enough of it may be free again in 3 h."
    )
    error = from_reasons((BUDGET,), told)
    assert error.public_message == f"The money is spent. Ask for more. {told}"
    assert renewals((), NOON) == ""


def test_a_key_that_is_good_for_other_things_says_for_which() -> None:
    good_for = (Operation.EMBEDDINGS, Operation.MODELS)
    error = out_of_scope(Operation.CHAT_COMPLETIONS, good_for)
    assert error.http_status == 403
    assert error.public_message == (
        "This key is good for embeddings, models, and not for chat.completions."
    )
    assert error.details["reasons"][0]["code"] == "key_scope"


def test_a_refusal_is_a_decision_with_an_id_and_nothing_to_carry_out() -> None:
    made = refusal("dec_1", UnknownModel("no"), revision="r", headers={"x-ratelimit-a": "1"})
    assert made.denial
    assert made.denial.status == 404
    assert made.denial.body["error"]["code"] == "model_not_found"
    assert made.denial.headers == {"x-ratelimit-a": "1", "x-gatehouse-decision-id": "dec_1"}
    assert (made.ticket, made.deployments, made.answer) == ("", (), None)
