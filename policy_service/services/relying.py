"""How a call relies on an approval, and what a caller reads who has none, or no more of one."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import ROUND_UP, Decimal

from llm_core.answer_headers import limit_headers, plain
from llm_core.errors import BudgetExhausted, PolicyUnavailable
from llm_core.policy.approvals import (
    APPROVAL_REQUIRED,
    APPROVAL_TOO_SMALL,
    ApprovalGrant,
    with_limit,
)
from llm_core.policy.caller import Caller
from llm_core.policy.decision import Decision, Reason, Reservation
from llm_core.policy.input import Candidate
from policy_service.ports.approvals import OpenRequest
from policy_service.ports.limits import Refused
from policy_service.services.degraded import degraded_header
from policy_service.services.known_approvals import KnownApprovals
from policy_service.services.refusals import refusal

_MOST_TRIED = 10
"""Grants that are tried for one call: each takes an evaluation of policy."""

_COST = Decimal("0.000001")
"""As policy sees a cost: six places, rounded up."""

_HOW = (
    '`gatehouse approvals request --model {model} --reason "..."`, or POST /v1/approvals '
    'with {{"model": "{model}", "reason": "..."}}.'
)


async def with_room(
    grants: Sequence[ApprovalGrant],
    decide: Callable[[Sequence[ApprovalGrant]], Awaitable[Decision]],
) -> Decision:
    """Decide, and once more without each grant whose amount does not cover the call.

    Args:
        grants: All that are good for the caller.
        decide: Decides by these grants; a refusal for lack of room names the grant.
    """
    first = made = await decide(grants)
    for _ in range(_MOST_TRIED):
        if made.denial is None or made.approval is None:
            break
        grants = [grant for grant in grants if grant.id != made.approval]
        made = await decide(grants)
    return made if made.denial is None else first


def named(grants: Sequence[ApprovalGrant], approval_id: str | None) -> ApprovalGrant | None:
    """The grant that policy relied on.

    Raises:
        PolicyUnavailable: Nobody offered it.
    """
    if approval_id is None:
        return None
    for grant in grants:
        if grant.id == approval_id:
            return grant
    raise PolicyUnavailable("Policy relies on an approval that is none of the caller's.")


def relying(reservation: Reservation, grant: ApprovalGrant | None) -> Reservation:
    """The reservation with the grant, whose cap the call counts for."""
    if grant is None:
        return reservation
    caller = with_limit(reservation.caller, grant.cap)
    return replace(reservation, caller=caller, approval=grant.id)


def grants_of(
    approvals: KnownApprovals | None, caller: Caller, now: datetime
) -> tuple[ApprovalGrant, ...]:
    """The grants that are good for a caller now; none where nobody keeps any."""
    return () if approvals is None else approvals.of(caller, now)


def told_how(
    reasons: Sequence[Reason], approvals: KnownApprovals | None, caller: Caller, model: str
) -> tuple[Reason, ...]:
    """Policy's reasons, with how to ask for an approval where one is missing.

    Args:
        reasons: As policy gave them.
        approvals: Know of requests that nobody has answered yet.
        caller: Who was refused.
        model: The alias that was asked for.
    """
    waiting = None if approvals is None else approvals.waiting(caller, model)
    return tuple(
        _told_how(reason, model, waiting) if reason.code == APPROVAL_REQUIRED else reason
        for reason in reasons
    )


def told_amounts(
    reasons: Sequence[Reason],
    model: str,
    grants: Sequence[ApprovalGrant],
    candidates: Sequence[Candidate],
) -> tuple[Reason, ...]:
    """Policy's reasons, with what the call can cost and what the approval covers of it.

    Args:
        reasons: As policy gave them.
        model: The alias that was asked for.
        grants: Those that policy knew of.
        candidates: What the call can cost at each deployment.
    """
    capped = [
        (one.amount_usd, one.id)
        for one in grants
        if one.amount_usd is not None and model in one.models
    ]
    if not capped:
        return tuple(reasons)
    amount, name = max(capped)
    more = [one.worst_usd for one in candidates if one.worst_usd and one.worst_usd > amount]
    cost = f"${plain(min(more).quantize(_COST, ROUND_UP))}, more" if more else "more"
    covers = f"the ${plain(amount)} that your approval {name} covers"
    message = f"This call can cost {cost} than {covers}."
    return tuple(
        replace(reason, message=message) if reason.code == APPROVAL_TOO_SMALL else reason
        for reason in reasons
    )


def over_cap(
    refused: Refused, grant: ApprovalGrant | None, *, decision_id: str, model: str, revision: str
) -> Decision | None:
    """The refusal of a call that the grant's amount does not cover; it names the grant.

    `None` where it was another limit.
    """
    if grant is None or grant.cap is None or refused.exceeded.key != grant.cap.key:
        return None
    headers = {
        **limit_headers(refused.states),
        **degraded_header(is_degraded=refused.is_degraded),
    }
    made = refusal(decision_id, used_up(grant, model), revision=revision, headers=headers)
    return replace(made, approval=grant.id)


def used_up(grant: ApprovalGrant, model: str) -> BudgetExhausted:
    """What a caller reads whose approval has not enough left."""
    amount = "" if grant.amount_usd is None else f"${plain(grant.amount_usd)} "
    return BudgetExhausted(
        f"What is left of the approval {grant.id} ({amount}until {grant.until:%Y-%m-%d %H:%M} "
        "UTC) does not cover this call: its amount is used up. Lower max_tokens, or ask for more: "
        + _HOW.format(model=model)
    )


def _told_how(reason: Reason, model: str, waiting: OpenRequest | None) -> Reason:
    message = f"The model {model} needs an approval, and none holds for you."
    if waiting is not None:
        since = f"{waiting.created_at:%Y-%m-%d %H:%M} UTC"
        solution = (
            f"The request {waiting.id} waits for an answer since {since}: ask an approver of your "
            "team; `gatehouse approvals mine` shows it."
        )
        return replace(reason, message=message, solution=solution)
    return replace(reason, message=message, solution=f"Ask for one: {_HOW.format(model=model)}")
