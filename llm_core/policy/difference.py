"""How two policies' answers about the same call differ."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

_KINDS_OF_ACCESS = frozenset({"denied", "allowed", "permitted"})


class DifferenceKind(StrEnum):
    """In what respect."""

    DENIED = "denied"
    """It was allowed, and would be denied."""
    ALLOWED = "allowed"
    """It was denied, and would be allowed."""
    PERMITTED = "permitted"
    """Other deployments would be permitted."""
    OBLIGATIONS = "obligations"
    """The same access, and something else would have to be done."""
    CODES = "codes"
    """The reasons would be others."""


@dataclass(frozen=True, slots=True)
class PolicyAnswer:
    """What of an answer matters to a caller.

    Args:
        codes: Of the reasons, sorted, each once.
        obligations: In JSON's types, each as `llm_core.policy.decision.Obligations` names it.
    """

    allow: bool
    permitted: tuple[str, ...]
    codes: tuple[str, ...]
    obligations: Mapping[str, Any]


def differences(before: PolicyAnswer, after: PolicyAnswer) -> tuple[DifferenceKind, ...]:
    """In what respects `after` differs; none where both say the same.

    Obligations count only where both allow: nothing is done to a call that is denied.
    """
    if before == after:
        return ()
    found = []
    if before.allow and not after.allow:
        found.append(DifferenceKind.DENIED)
    elif after.allow and not before.allow:
        found.append(DifferenceKind.ALLOWED)
    elif before.permitted != after.permitted:
        found.append(DifferenceKind.PERMITTED)
    if before.allow and after.allow and _said(before.obligations) != _said(after.obligations):
        found.append(DifferenceKind.OBLIGATIONS)
    if before.codes != after.codes:
        found.append(DifferenceKind.CODES)
    return tuple(found)


def changes_access(kinds: tuple[DifferenceKind, ...]) -> bool:
    """Whether the caller could do something else than before."""
    return not _KINDS_OF_ACCESS.isdisjoint(kinds)


def _said(value: object) -> object:
    """The same value with lists for every sequence and without what is not told."""
    if isinstance(value, Mapping):
        return {name: _said(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_said(item) for item in value]
    return value
