"""Turning a refusal into the answer that the client will read."""

from collections.abc import Sequence

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
from llm_core.policy.decision import Decision, Denial, Reason
from llm_core.policy.limits import Measure
from policy_service.ports.limits import Refused

_BUDGET_CODES = frozenset({"budget_exhausted"})
_UNPRICED = "unpriced_model"


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


def from_reasons(reasons: Sequence[Reason]) -> GatewayError:
    """The error for what policy said.

    A call may be refused for several reasons. What the caller should act on first decides the
    error: a rule broken before money that is spent, before a price that is missing.
    """
    codes = {reason.code for reason in reasons}
    said = " ".join(dict.fromkeys(_sentence(reason) for reason in reasons))
    if codes and codes <= _BUDGET_CODES | {_UNPRICED}:
        if codes & _BUDGET_CODES:
            return BudgetExhausted(said)
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


def from_limits(refused: Refused) -> AccessError:
    """The error for a limit that the call would pass."""
    limit = refused.exceeded
    match limit.measure:
        case Measure.USD_PER_MONTH:
            return BudgetExhausted(
                f"The monthly budget of {limit.node} (${plain(limit.amount)}) does not cover this "
                "call. Ask whoever owns the budget to raise it, or lower max_tokens."
            )
        case Measure.REQUESTS_PER_MINUTE | Measure.TOKENS_PER_MINUTE:
            what = "requests" if limit.measure is Measure.REQUESTS_PER_MINUTE else "tokens"
            if refused.retry_after_s is None:
                return RateLimited(
                    f"This call needs more {what} at once than {limit.node} may use in a minute "
                    f"({plain(limit.amount)}). Lower max_tokens or shorten the prompt.",
                    retry_after_s=None,
                )
            return RateLimited(
                f"{limit.node} has reached its limit of {plain(limit.amount)} {what} per minute. "
                f"Try again in {refused.retry_after_s:.1f} s.",
                retry_after_s=refused.retry_after_s,
            )


def _sentence(reason: Reason) -> str:
    return f"{reason.message} {reason.solution}".strip()
