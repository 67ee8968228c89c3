"""An engine's answer becomes a `PolicyResult`; both engines are read by this one total function."""

from collections.abc import Mapping
from typing import Any, TypeVar

from llm_core.errors import PolicyUnavailable
from llm_core.policy.decision import CacheScope, Obligations, Reason
from policy_service.ports.policy import PolicyResult

T = TypeVar("T")
_LONGEST_KEPT_S = 31 * 86_400


def policy_result(answer: object, document: Mapping[str, Any]) -> PolicyResult:
    """Read what an engine answered; the one place where policy's words become ours.

    An answer that is not exactly a decision about this very document is a fault, never half a
    decision: undefined (the engine has no bundle), wrong types, ids that were not asked about.

    Args:
        answer: The value of the entrypoint; `None` when it was undefined.
        document: What was asked.

    Raises:
        PolicyUnavailable: The answer is no decision about `document`.
    """
    try:
        return _parsed_result(answer, document)
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise PolicyUnavailable("The policy engine gave no usable decision.") from error


def _parsed_result(answer: object, document: Mapping[str, Any]) -> PolicyResult:
    decision = _exactly(answer, dict)
    allow = _exactly(decision["allow"], bool)
    permitted = _strings(decision["permitted"])
    models = _strings(decision["models"])
    if permitted:
        candidates = [candidate["id"] for candidate in document["candidates"]]
        if permitted != tuple(id for id in candidates if id in set(permitted)):
            raise ValueError("permitted is no part of the candidates in their order")
    if models and not set(models) <= set(document["models"]):
        raise ValueError("models were permitted that nobody asked about")
    if allow and not permitted and document["call"]["operation"] != "models":
        raise ValueError("allowed, but nothing is permitted")
    if not allow and (permitted or models):
        raise ValueError("denied, but something is permitted")
    reasons = tuple(_reason(reason) for reason in _exactly(decision["reasons"], list))
    if not allow and not reasons:
        raise ValueError("denied without a reason")
    return PolicyResult(
        allow=allow,
        permitted=permitted,
        reasons=tuple(dict.fromkeys(reasons)),
        obligations=_obligations(decision["obligations"]),
        revision=_exactly(decision["revision"], str),
        models=models,
        approval=_approval(decision.get("approval", ""), document),
    )


def _approval(value: object, document: Mapping[str, Any]) -> str | None:
    """The grant that the permission rests on; "" is none."""
    approval = _exactly(value, str)
    if not approval:
        return None
    if approval not in [grant["id"] for grant in document["approvals"]]:
        raise ValueError("an approval was relied on that nobody has")
    return approval


def _reason(value: object) -> Reason:
    reason = _exactly(value, dict)
    return Reason(
        code=_exactly(reason["code"], str),
        message=_exactly(reason["message"], str),
        rule=_exactly(reason["rule"], str),
        solution=_exactly(reason["solution"], str),
    )


def _obligations(value: object) -> Obligations:
    obligations = _exactly(value, dict)
    # An obligation this service does not know is one that it would not carry out.
    if unknown := obligations.keys() - {"max_output_tokens", "cache_seconds", "cache_scope"}:
        raise ValueError(f"unknown obligations: {sorted(unknown)}")
    cap = obligations["max_output_tokens"]
    # A policy that says nothing of the cache permits nothing there.
    cache_seconds = _whole(obligations.get("cache_seconds", 0), at_least=0)
    if cache_seconds > _LONGEST_KEPT_S:
        raise ValueError("cache_seconds is longer than anything may be kept")
    return Obligations(
        max_output_tokens=None if cap is None else _whole(cap, at_least=1),
        cache_seconds=cache_seconds,
        cache_scope=CacheScope(obligations.get("cache_scope", CacheScope.TEAM)),
    )


def _whole(value: object, *, at_least: int) -> int:
    # Either engine may write a whole number as 512.0.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{type(value).__name__} where a number belongs")
    if value != int(value) or value < at_least:
        raise ValueError(f"no whole number from {at_least} on")
    return int(value)


def _exactly(value: object, kind: type[T]) -> T:
    if type(value) is not kind:
        raise TypeError(f"{type(value).__name__} where {kind.__name__} belongs")
    return value


def _strings(value: object) -> tuple[str, ...]:
    return tuple(_exactly(item, str) for item in _exactly(value, list))
