"""Turning a refusal into the answer that the client will read."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from llm_core.answer_headers import plain
from llm_core.errors import (
    AccessError,
    BudgetExhausted,
    GatewayError,
    PolicyDenied,
    RateLimited,
    UnpricedModel,
    error_body,
)
from llm_core.operation import Operation
from llm_core.policy.decision import Decision, Denial, Reason
from llm_core.policy.limits import Limit, LimitState, Period, Quantity
from policy_service.periods import calendar_span
from policy_service.ports.limits import Refused

_BUDGET_CODES = frozenset({"budget_exhausted"})
_UNPRICED = "unpriced_model"
_QUANTITIES = {
    Quantity.REQUESTS: "requests",
    Quantity.INPUT_TOKENS: "input tokens",
    Quantity.OUTPUT_TOKENS: "output tokens",
    Quantity.TOKENS: "tokens",
}
_PERIODS = {
    Period.MINUTE: "per minute",
    Period.DAY: "per day",
    Period.MONTH: "per month",
    Period.LAST_24_HOURS: "in any 24 hours",
    Period.LAST_30_DAYS: "in any 30 days",
}
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400


def refusal(
    decision_id: str, error: GatewayError, *, revision: str, headers: dict[str, str] | None = None
) -> Decision:
    """A decision that says no, with the answer to give."""
    return Decision(
        decision_id=decision_id,
        policy_revision=revision,
        denial=Denial(
            status=error.http_status,
            body=error_body(error),
            headers={
                **(headers or {}),
                "x-gatehouse-decision-id": decision_id,
                **error.headers,
            },
        ),
    )


def from_reasons(reasons: Sequence[Reason], renewal: str = "") -> GatewayError:
    """The error for what policy said.

    A call may be refused for several reasons. What the caller should act on first decides the
    error: a rule broken before money that is spent, before a price that is missing.

    Args:
        reasons: At least one, unless policy is at fault.
        renewal: When there will be money again (`renewals`).
    """
    codes = {reason.code for reason in reasons}
    said = " ".join(dict.fromkeys(_sentence(reason) for reason in reasons))
    if codes and codes <= _BUDGET_CODES | {_UNPRICED}:
        if codes & _BUDGET_CODES:
            return BudgetExhausted(f"{said} {renewal}".strip())
        return UnpricedModel(said)
    return PolicyDenied(
        said or "Policy does not allow this call.",
        reasons=tuple(
            {
                "code": reason.code,
                "message": reason.message,
                "rule": reason.rule,
                "solution": reason.solution,
            }
            for reason in reasons
        ),
        param="model",
    )


def renewals(budgets: Iterable[LimitState], now: datetime) -> str:
    """Which money is spent and when there will be some again, in sentences; empty for none."""
    return " ".join(
        f"{_budget(state.limit)} is used up. {_renewal(state.limit, state.reset_s, now)}".strip()
        for state in budgets
        if state.limit.measure.is_money and state.used >= state.limit.amount
    )


def out_of_scope(asked: Operation, operations: Sequence[Operation]) -> PolicyDenied:
    """The error for a key that is good for other operations."""
    good_for = ", ".join(operations)
    said = f"This key is good for {good_for}, and not for {asked}."
    return PolicyDenied(
        said,
        reasons=(
            {
                "code": "key_scope",
                "message": said,
                "rule": "key.operations",
                "solution": "Use another key, or ask whoever issued this one to widen it.",
            },
        ),
    )


def from_limits(refused: Refused, now: datetime, *, whole: Limit | None = None) -> AccessError:
    """The error for a limit that the call would pass.

    Args:
        refused: What the store said.
        now: Tells when a calendar period ends.
        whole: The limit as the organisation has it, where the call may not fill all of it.
    """
    limit = refused.exceeded
    kept = _kept(limit, whole)
    if limit.measure.is_money:
        renewal = _renewal(limit, refused.retry_after_s, now)
        return BudgetExhausted(
            _sentences(
                f"{_budget(limit)} does not cover this call.",
                kept,
                renewal,
                "Lower max_tokens, or ask whoever owns the budget to raise it.",
            )
        )
    if limit.measure.period is Period.UNDER_WAY:
        return _too_many_under_way(refused, kept)
    what = _QUANTITIES[limit.measure.quantity]
    amount = f"{plain(limit.amount)} {what} {_PERIODS[limit.measure.period]}"
    if refused.retry_after_s is None:
        advice = "" if what == "requests" else "Lower max_tokens or shorten the prompt."
        return RateLimited(
            _sentences(
                f"This call needs more {what} at once than {_whose(limit)} may use ({amount}).",
                kept,
                advice,
            ),
            retry_after_s=None,
        )
    return RateLimited(
        _sentences(
            f"{_whose(limit)} has reached its limit of {amount}.",
            kept,
            f"Try again in {_wait(refused.retry_after_s)}.",
        ),
        retry_after_s=refused.retry_after_s,
    )


def _too_many_under_way(refused: Refused, kept: str) -> RateLimited:
    limit = refused.exceeded
    if refused.retry_after_s is None:
        return RateLimited(f"{_whose(limit)} may make no calls.", retry_after_s=None)
    return RateLimited(
        _sentences(
            f"{_whose(limit)} has reached its limit of {plain(limit.amount)} calls under way at "
            "once.",
            kept,
            "Try again when one of them has ended.",
        ),
        retry_after_s=refused.retry_after_s,
    )


def _kept(limit: Limit, whole: Limit | None) -> str:
    """That a batch call may not fill all of a limit."""
    if whole is None or not whole.interactive_share:
        return ""
    percent = plain(whole.interactive_share * 100)
    return (
        f"That is what batch calls may use: {percent} % of the limit are kept for interactive "
        "calls."
    )


def _whose(limit: Limit) -> str:
    kind, _, name = limit.scope.partition(":")
    match kind:
        case "":
            return limit.node
        case "group":
            return f"{limit.node} for the model group {name}"
        case _:
            return f"{limit.node} for the model {name}"


def _budget(limit: Limit) -> str:
    return (
        f"The budget of {_whose(limit)} (${plain(limit.amount)} {_PERIODS[limit.measure.period]})"
    )


def _renewal(limit: Limit, wait_s: float | None, now: datetime) -> str:
    """When a budget has money again; nothing where that does not help."""
    period = limit.measure.period
    if period.is_calendar:
        ends_at = calendar_span(period, now, limit.time_zone).ends_at
        there = ends_at.astimezone(ZoneInfo(limit.time_zone))
        return f"It renews at {there:%Y-%m-%d %H:%M} {limit.time_zone}."
    if wait_s is None:
        return ""
    return f"Enough of it may be free again in {_wait(wait_s)}."


def _wait(seconds: float) -> str:
    """A time to wait, never told shorter than it is."""
    if seconds < 2 * _MINUTE_S:
        return f"{max(seconds, 0):.1f} s"
    for unit_s, name, up_to_s in ((_MINUTE_S, "min", 2 * _HOUR_S), (_HOUR_S, "h", 2 * _DAY_S)):
        if seconds < up_to_s:
            return f"{-int(-seconds // unit_s)} {name}"
    return f"{-int(-seconds // _DAY_S)} days"


def _sentence(reason: Reason) -> str:
    return f"{reason.message} {reason.solution}".strip()


def _sentences(*said: str) -> str:
    return " ".join(one for one in said if one)
