"""How an organisation divides what nobody spent for themselves alone, and shows its money."""

import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum

import msgspec

DIMENSIONS = frozenset(
    {
        "department",
        "team",
        "project",
        "user",
        "application",
        "cost_centre",
        "model",
        "served_model",
        "provider",
        "region",
        "operation",
        "use_case",
        "error_class",
    }
)
"""What calls can be told apart by; `model` is the one that was asked for."""

MOST_SHARED = 50
_MOST_SHARES = 1000
_MOST_CHARS = 200
_CODE = re.compile(r"[A-Z]{3}")
_SHARE_KINDS = ("team", "department")


class Allocation(StrEnum):
    """By what a shared cost is divided."""

    USAGE = "usage"
    """By what each spent directly."""
    HEADS = "heads"
    """By how many active people each team has."""
    FIXED = "fixed"
    """By shares that somebody agreed on."""


class SharedCost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Calls that are paid for together.

    Args:
        name: As statements show it.
        match: Which calls, by dimension; all must hold. An empty value matches what has none.
        allocate: By what their cost is divided.
        shares: For `fixed`: `team:<id>` or `department:<id>`, and its part; together 1. What a
            department gets is divided in it by usage.
    """

    name: str
    match: Mapping[str, str]
    allocate: Allocation
    shares: Mapping[str, Decimal] = {}

    def matches(self, call: Mapping[str, str | None]) -> bool:
        """Whether a call is one of these; it has every dimension of `match`."""
        return all((call[name] or "") == value for name, value in self.match.items())


class Currency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another currency that is shown beside USD, never in its place.

    Args:
        code: ISO 4217, such as `EUR`.
        usd_rate: What a dollar is in it.
    """

    code: str
    usd_rate: Decimal


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How an organisation charges. A call belongs to the first shared cost that it matches."""

    shared: tuple[SharedCost, ...] = ()
    currency: Currency | None = None

    @property
    def dimensions(self) -> frozenset[str]:
        """What calls have to be told apart by."""
        return frozenset(name for one in self.shared for name in one.match)


def refuse_bad_rules(rules: Rules) -> None:
    """Let no rules pass that cannot be applied.

    Raises:
        ValueError: Says which rule, and what to write instead.
    """
    names = [one.name for one in rules.shared]
    if len(names) > MOST_SHARED:
        raise ValueError(f"there are {len(names)} shared costs; {MOST_SHARED} at most")
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two shared costs are called {name!r}; give each its own name")
    for one in rules.shared:
        _refuse_bad_cost(one)
    if rules.currency is not None:
        if not _CODE.fullmatch(rules.currency.code) or rules.currency.code == "USD":
            raise ValueError("the currency's code is three capital letters such as EUR, not USD")
        rate = rules.currency.usd_rate
        if not rate.is_finite() or rate <= 0:
            raise ValueError("the currency's `usd_rate` is what a dollar is in it, above zero")


def _refuse_bad_cost(one: SharedCost) -> None:
    if not 1 <= len(one.name) <= _MOST_CHARS or not one.name.isprintable():
        raise ValueError(f"a shared cost needs a name of 1 to {_MOST_CHARS} characters")
    if not one.match:
        raise ValueError(f"{one.name!r} matches every call; say in `match` which ones it is for")
    unknown = sorted(one.match.keys() - DIMENSIONS)
    if unknown:
        known = ", ".join(sorted(DIMENSIONS))
        raise ValueError(f"{one.name!r} matches by {unknown[0]!r}; there are {known}")
    if one.allocate is Allocation.FIXED:
        _refuse_bad_shares(one)
    elif one.shares:
        raise ValueError(f"{one.name!r} has shares, which are for `fixed` only")


def _refuse_bad_shares(one: SharedCost) -> None:
    if not 1 <= len(one.shares) <= _MOST_SHARES:
        raise ValueError(f"{one.name!r} is `fixed`: it needs 1 to {_MOST_SHARES} shares")
    for node, share in one.shares.items():
        kind, _, name = node.partition(":")
        if kind not in _SHARE_KINDS or not name:
            raise ValueError(f"{one.name!r}: {node!r} is no team:<id> and no department:<id>")
        if not share.is_finite() or share < 0:
            raise ValueError(f"{one.name!r}: the share of {node} is below zero or no number")
    total = sum(one.shares.values(), Decimal(0))
    if total != 1:
        raise ValueError(f"{one.name!r}: the shares add up to {total.normalize():f}, not to 1")
