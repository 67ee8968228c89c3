"""The one document that policy sees.

`build_input` makes it, `rego/schemas/input.json` describes it, the rules are type-checked against
that schema and a contract test validates built documents with it: whichever side breaks the
contract fails a test on its own side.

Amounts become JSON numbers here, because that is what Rego can compare, with six places after the
point: what a call can cost is rounded up, what was used down. They are for thresholds in rules and
for nothing else: accounting stays with `Decimal`, outside of policy.

What rules ask for most stands first in every object: rego-cpp goes through it from its beginning.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from typing import Any

from llm_core.catalogue import Deployment
from llm_core.policy.allowance import most_prompt_tokens
from llm_core.policy.approvals import ApprovalGrant
from llm_core.policy.call import Call
from llm_core.policy.caller import Caller
from llm_core.policy.limits import LimitState
from llm_core.pricing.charge import ModelPrice

INPUT_VERSION = 1
"""Rules deny a version they do not know. A removed field or a changed meaning makes a new one."""

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_PLACES = Decimal("0.000001")
_EXACT_IN_JSON = 2**53
"""Whole numbers up to here are exact in every JSON reader (RFC 8259, section 6)."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A deployment that could serve the call, and what is known about its price.

    Args:
        deployment: From the catalogue.
        price: In force now; `None` when it is not known, which is not the same as free.
        worst_usd: The most the call can cost here; `None` without a price.
    """

    deployment: Deployment
    price: ModelPrice | None
    worst_usd: Decimal | None = None


def build_input(
    caller: Caller,
    call: Call,
    candidates: Sequence[Candidate],
    budgets: Sequence[LimitState],
    at: datetime,
    *,
    models: Sequence[str] = (),
    approvals: Sequence[ApprovalGrant] = (),
) -> dict[str, Any]:
    """Say everything a rule may look at, in JSON's own types and nothing else.

    Args:
        caller: Who asks; the limits are left out, `budgets` has them with their state.
        call: What is asked; never the prompt.
        candidates: In order of preference; the answer keeps the order.
        budgets: Where the limits of a day, a month, 24 hours and 30 days stand that the call meets.
        at: When, as the organisation's clocks show it.
        models: For the operation `models`: every alias there is. Else empty.
        approvals: The grants that are good for the caller now, in the order to rely on them.

    Returns:
        A document that `rego/schemas/input.json` describes.

    Raises:
        ValueError: `at` has no time zone, or an amount is not a number.
    """
    return {
        "call": _call(call),
        "caller": _caller(caller),
        "candidates": [_candidate(candidate, call) for candidate in candidates],
        "budgets": [_budget(state) for state in budgets],
        "time": _time(at),
        "approvals": [entry for grant in approvals for entry in _approval(grant)],
        "models": list(models),
        "version": INPUT_VERSION,
    }


def _caller(caller: Caller) -> dict[str, Any]:
    return {
        "organisation": caller.organisation,
        "department": caller.department,
        "team": caller.team,
        "allowed_models": list(caller.allowed_models),
        "roles": list(caller.roles),
        "clearance": caller.clearance,
        "proof": caller.proof.value,
        "project": caller.project,
        "user": caller.user,
        "application": caller.application,
        "key_id": caller.key_id,
        "groups": list(caller.groups),
        "cost_centre": caller.cost_centre,
        "priority": caller.priority.value,
    }


def _call(call: Call) -> dict[str, Any]:
    return {
        "operation": call.operation.value,
        "asked_model": call.asked_model,
        "data_labels": list(call.data_labels),
        "use_case": call.use_case,
        "has_tools": call.has_tools,
        "has_images": call.has_images,
        "networks": list(call.networks),
        "is_streaming": call.is_streaming,
        "prompt_tokens": call.prompt_tokens,
        "max_output_tokens": call.max_output_tokens,
        "choices": call.choices,
        "response_format": call.response_format,
        "body_digest": call.body_digest,
        "body_bytes": call.body_bytes,
        "priority": call.priority.value,
    }


def _candidate(candidate: Candidate, call: Call) -> dict[str, Any]:
    deployment, price = candidate.deployment, candidate.price
    processing = deployment.data_processing
    # A long-context tier prices every token, so the rates are those that this call is reserved at.
    most = most_prompt_tokens(call, deployment)
    rates = price.rates_for(most) if price is not None else None
    return {
        "id": deployment.id,
        "is_priced": price is not None,
        "is_free": price is not None and price.is_free,
        "usd_per_million_input": None if rates is None else json_number(rates.input, ROUND_UP),
        "usd_per_million_output": None if rates is None else json_number(rates.output, ROUND_UP),
        "worst_usd": None
        if candidate.worst_usd is None
        else json_number(candidate.worst_usd, ROUND_UP),
        "region": deployment.region,
        "agreements": {
            kind: {
                "since_unix": math.ceil(agreement.since.timestamp()),
                "until_unix": None
                if agreement.until is None
                else math.floor(agreement.until.timestamp()),
            }
            for kind, agreement in deployment.agreements.items()
        },
        "data_processing": {
            "retention_days": processing.retention_days,
            "trains_on_data": processing.trains_on_data,
            "sub_processors": None
            if processing.sub_processors is None
            else list(processing.sub_processors),
        },
        "provider": deployment.provider_name,
        "model": deployment.model,
        "attributes": dict(deployment.attributes),
    }


def _budget(state: LimitState) -> dict[str, Any]:
    return {
        "measure": state.limit.measure.value,
        "used_fraction": json_number(Decimal(repr(state.used_fraction))),
        "node": state.limit.node,
        "scope": state.limit.scope,
        "amount": json_number(state.limit.amount),
        "used": json_number(state.used),
        "remaining": json_number(state.remaining),
    }


def _approval(grant: ApprovalGrant) -> list[dict[str, Any]]:
    """One entry for each model that the grant is for."""
    amount = None if grant.amount_usd is None else json_number(grant.amount_usd)
    until = math.floor(grant.until.timestamp())
    return [
        {"id": grant.id, "model": model, "until_unix": until, "amount_usd": amount}
        for model in grant.models
    ]


def _time(at: datetime) -> dict[str, Any]:
    if at.tzinfo is None:
        raise ValueError("a time without a time zone is no time")
    utc = at.astimezone(UTC)
    return {
        "unix": math.floor(utc.timestamp()),
        "local": {"weekday": _WEEKDAYS[at.weekday()], "hour": at.hour, "minute": at.minute},
        "rfc3339": utc.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "weekday": _WEEKDAYS[utc.weekday()],
        "hour": utc.hour,
    }


def json_number(amount: Decimal, rounding: str = ROUND_DOWN) -> int | float:
    """The JSON number for a threshold, with at most six places after the point.

    More would cost the embedded engine much time (`regopy_worker.py`). Whole numbers are exact.

    Args:
        amount: USD, tokens, or a part of a whole.
        rounding: One of `decimal`'s; down by default, so that nothing is said to be used up that
            is not.

    Raises:
        ValueError: The amount is infinite or not a number; JSON has neither.
    """
    if not amount.is_finite():
        raise ValueError(f"{amount} is not an amount")
    if amount == amount.to_integral_value() and abs(amount) <= _EXACT_IN_JSON:
        return int(amount)
    if abs(amount) > _EXACT_IN_JSON:
        return float(amount)
    rounded = amount.quantize(_PLACES, rounding=rounding)
    return int(rounded) if rounded == rounded.to_integral_value() else float(rounded)
