"""An engine's answer becomes a `PolicyResult`; both engines are read by this one total function."""

from collections.abc import Mapping
from typing import Any, TypeVar

from llm_core.errors import PolicyUnavailable
from llm_core.policy.decision import (
    CacheScope,
    LogLevel,
    Obligations,
    PiiMode,
    PiiRules,
    Reason,
)
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
        approval=_approval(decision["approval"], document) if allow else None,
    )


def _approval(value: object, document: Mapping[str, Any]) -> str | None:
    """The grant that the permission rests on: one of those that were asked about."""
    grant = _exactly(value, str)
    if grant and grant not in {known["id"] for known in document["approvals"]}:
        raise ValueError("the approval is none of those that there are")
    return grant or None


def _reason(value: object) -> Reason:
    reason = _exactly(value, dict)
    return Reason(
        code=_exactly(reason["code"], str),
        message=_exactly(reason["message"], str),
        rule=_exactly(reason["rule"], str),
        solution=_exactly(reason["solution"], str),
    )


def _obligations(value: object) -> Obligations:
    """What must be done; every obligation is named, so that none can be forgotten.

    One that this service does not know is one that it would not carry out.
    """
    said = _parts(value, "max_output_tokens", "cache_seconds", "cache_scope", "pii", "guard", "log")
    cap = said["max_output_tokens"]
    cache_seconds = _whole(said["cache_seconds"], at_least=0)
    if cache_seconds > _LONGEST_KEPT_S:
        raise ValueError("cache_seconds is longer than anything may be kept")
    log = _parts(said["log"], "level", "keep_days")
    return Obligations(
        max_output_tokens=None if cap is None else _whole(cap, at_least=1),
        cache_seconds=cache_seconds,
        cache_scope=CacheScope(said["cache_scope"]),
        pii=_pii(said["pii"]),
        guard=_exactly(said["guard"], str) or None,
        log_level=LogLevel(log["level"]),
        log_days=_whole(log["keep_days"], at_least=0),
    )


def _pii(value: object) -> PiiRules:
    said = _parts(value, "input", "output", "restore", "kinds")
    return PiiRules(
        input=PiiMode(said["input"]),
        output=PiiMode(said["output"]),
        restores=_exactly(said["restore"], bool),
        kinds=_strings(said["kinds"]),
    )


def _parts(value: object, *names: str) -> dict[str, Any]:
    """An object that has exactly these parts."""
    parts = _exactly(value, dict)
    if parts.keys() != set(names):
        raise ValueError(f"{sorted(parts)} where {sorted(names)} belong")
    return parts


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
