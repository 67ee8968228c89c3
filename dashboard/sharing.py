"""How spend is shared, as people write it and read it; what a change of the rules changes."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation

import msgspec

from dashboard.api.chargeback import BilledIn, Rules, SharedRule
from dashboard.formats import plain_text
from llm_core.chargeback import rules as core

DIMENSIONS = ", ".join(sorted(core.DIMENSIONS))
BY = {"usage": "use", "heads": "heads", "fixed": "fixed shares"}
"""What a shared cost is divided by, in words."""


def read_match(text: str) -> dict[str, str]:
    """Which calls, one condition a line: `project: search`.

    Raises:
        ValueError: Says which line, and what to write instead.
    """
    found: dict[str, str] = {}
    for line in _lines(text):
        dimension, is_told, value = line.partition(":")
        if not is_told:
            raise ValueError(f"{line!r} is no condition; write it as project: search")
        name = dimension.strip()
        if name in found:
            raise ValueError(f"there are two conditions on {name!r}; a call has one value of it")
        found[name] = value.strip()
    return found


def read_shares(text: str) -> dict[str, Decimal]:
    """Who pays which part, one a line: `team:search 0.4`.

    Raises:
        ValueError: Says which line, and what to write instead.
    """
    found: dict[str, Decimal] = {}
    for line in _lines(text):
        node, _, share = line.rpartition(" ")
        name = node.rstrip(" :")
        if name in found:
            raise ValueError(f"there are two shares of {name!r}; write one")
        try:
            found[name] = Decimal(share)
        except InvalidOperation as fault:
            raise ValueError(f"{line!r} is no share; write it as team:search 0.4") from fault
    return found


def match_text(match: Mapping[str, str]) -> str:
    """As `read_match` reads it."""
    return "\n".join(f"{name}: {value}" for name, value in match.items())


def shares_text(shares: Mapping[str, Decimal] | None) -> str:
    """As `read_shares` reads it."""
    return "\n".join(f"{node} {share:f}" for node, share in (shares or {}).items())


def with_rule(rules: Rules, place: int | None, rule: SharedRule, at: int) -> Rules:
    """The rules with one more, or with one in place of another.

    Args:
        rules: As they are.
        place: Of the one that is changed, from 0; `None` for one more.
        rule: As it shall be.
        at: Its place afterwards, from 0.
    """
    others = list(without_rule(rules, place).shared)
    others.insert(at, rule)
    return Rules(rules.organisation, others, rules.currency)


def without_rule(rules: Rules, place: int | None) -> Rules:
    """The rules without one of them."""
    others = [one for number, one in enumerate(rules.shared) if number != place]
    return Rules(rules.organisation, others, rules.currency)


def body_of(rules: Rules) -> dict[str, object]:
    """What `PUT /admin/v1/chargebacks/rules` takes."""
    return {
        "organisation": rules.organisation,
        "shared": [
            {
                "name": one.name,
                "match": one.match,
                "allocate": one.allocate,
                "shares": {node: f"{share:f}" for node, share in (one.shares or {}).items()},
            }
            for one in rules.shared
        ],
        "currency": rules.currency
        and {"code": rules.currency.code, "usd_rate": f"{rules.currency.usd_rate:f}"},
    }


def refuse_bad(rules: Rules) -> None:
    """Let nothing be sent that the service would refuse.

    Raises:
        ValueError: Says which rule, and what to write instead.
    """
    said = body_of(rules)
    del said["organisation"]
    core.refuse_bad_rules(msgspec.convert(said, type=core.Rules))


def changes(before: Rules, after: Rules) -> list[str]:
    """What is otherwise afterwards, a sentence each in Markdown; nothing where nothing is."""
    old = {one.name: one for one in before.shared}
    new = {one.name: one for one in after.shared}
    told = [
        f"**{plain_text(name)}** is taken away: {rule_text(rule)}"
        for name, rule in old.items()
        if name not in new
    ]
    for place, (name, rule) in enumerate(new.items(), 1):
        if name not in old:
            told.append(f"**{plain_text(name)}** is new, as rule {place}: {rule_text(rule)}")
        elif rule_text(rule) != rule_text(old[name]):
            told.append(f"**{plain_text(name)}**: {rule_text(old[name])} becomes {rule_text(rule)}")
    if _kept(before, new) != _kept(after, old):
        told.append(f"The order becomes {', '.join(plain_text(name) for name in new)}")
    if before.currency != after.currency:
        told.append(
            f"The currency: {currency_text(before.currency)} becomes "
            f"{currency_text(after.currency)}"
        )
    return told


def rule_text(rule: SharedRule) -> str:
    """Which calls, and by what they are divided, in Markdown."""
    matched = ", ".join(f"{name} {value or 'none'}" for name, value in rule.match.items())
    parts = ", ".join(f"{node} {share:f}" for node, share in (rule.shares or {}).items())
    divided = f"divided by {BY.get(rule.allocate, rule.allocate)}"
    return plain_text(f"{matched}, {divided}" + (f" ({parts})" if parts else ""))


def currency_text(currency: BilledIn | None) -> str:
    """In what amounts are shown, in Markdown."""
    if currency is None:
        return "USD only"
    return plain_text(f"{currency.code}, at {currency.usd_rate:f} for a dollar")


def _kept(rules: Rules, others: Mapping[str, SharedRule]) -> Sequence[str]:
    return [one.name for one in rules.shared if one.name in others]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]
