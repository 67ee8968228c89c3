"""From what was spent to a statement: shared costs taken out, divided, and put on the lines."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from llm_core.chargeback.rules import Allocation, Rules, SharedCost
from llm_core.chargeback.split import in_cents, split
from llm_core.chargeback.statement import (
    Charge,
    Document,
    Line,
    Place,
    SharedTotal,
    Spent,
    Statement,
    TeamHeads,
    summed,
)

_Weights = dict[Place, Fraction]
_Kind = tuple[Place, str | None, str | None, str | None]


@dataclass(frozen=True, slots=True)
class Month:
    """Whose month, and when it is; a preview's may be a week."""

    organisation: str
    period: str
    tz: str
    starts_at: datetime
    ends_at: datetime


@dataclass(slots=True)
class _Counts:
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: Decimal = Decimal(0)

    def add(self, one: Spent, usd: Decimal) -> None:
        self.requests += one.requests
        self.input_tokens += one.input_tokens
        self.output_tokens += one.output_tokens
        self.usd += usd


@dataclass(slots=True)
class _Pool:
    """What a shared cost came to, and where it was spent."""

    rule: SharedCost
    spent: dict[Place, Decimal] = field(default_factory=dict)

    @property
    def usd(self) -> Decimal:
        return sum(self.spent.values(), Decimal(0))


def build(
    month: Month, spent: Iterable[Spent], teams: Sequence[TeamHeads], rules: Rules
) -> Document:
    """Make the statement.

    Args:
        month: Its name and its time.
        spent: Everything that the ledger has of it.
        teams: Every team of the organisation now.
        rules: How it charges.

    Raises:
        ValueError: A fixed share is of a team or department that is no more.
    """
    own: dict[Place, _Counts] = {}
    kinds: dict[_Kind, _Counts] = {}
    pools = [_Pool(rule) for rule in rules.shared]
    for one in spent:
        pool = next((pool for pool in pools if pool.rule.matches(one.call)), None)
        usd = one.usd
        if pool is not None:
            pool.spent[one.place] = pool.spent.get(one.place, Decimal(0)) + usd
            usd = Decimal(0)
        kind = (one.place, one.call["provider"], one.call["served_model"], one.call["region"])
        own.setdefault(one.place, _Counts()).add(one, usd)
        kinds.setdefault(kind, _Counts()).add(one, usd)
    direct = {place: counts.usd for place, counts in own.items()}
    divided = [(pool, *_divided(pool, direct, teams)) for pool in pools]
    lines = _lines(own, [parts for _, parts, _ in divided])
    charges = [_charge(kind, counts) for kind, counts in sorted(kinds.items(), key=_kind_order)]
    for pool, parts, _ in divided:
        charges += [
            _shared_charge(place, usd, pool.rule.name)
            for place, usd in sorted(parts.items(), key=lambda part: part[0].order)
        ]
    statement = Statement(
        organisation=month.organisation,
        period=month.period,
        tz=month.tz,
        starts_at=month.starts_at,
        ends_at=month.ends_at,
        lines=lines,
        shared=tuple(
            SharedTotal(pool.rule.name, pool.usd, pool.rule.allocate, stayed)
            for pool, _, stayed in divided
        ),
        currency=rules.currency,
    )
    return Document(summed(statement), tuple(charges))


def _divided(
    pool: _Pool, direct: Mapping[Place, Decimal], teams: Sequence[TeamHeads]
) -> tuple[dict[Place, Decimal], bool]:
    """Each place's part of a shared cost, and whether it stayed where it was spent."""
    weights = _weights(pool.rule, direct, teams)
    if not pool.usd:
        return {}, False
    stayed = not any(weights.values())
    if stayed:
        weights = {place: Fraction(usd) for place, usd in pool.spent.items()}
    places = sorted(weights, key=lambda place: place.order)
    parts = split(pool.usd, [weights[place] for place in places])
    return {place: part for place, part in zip(places, parts, strict=True) if part}, stayed


def _weights(
    rule: SharedCost, direct: Mapping[Place, Decimal], teams: Sequence[TeamHeads]
) -> _Weights:
    match rule.allocate:
        case Allocation.USAGE:
            return {place: Fraction(usd) for place, usd in direct.items()}
        case Allocation.HEADS:
            return {team.place: Fraction(team.heads) for team in teams}
        case Allocation.FIXED:
            weights: _Weights = {}
            for node, share in rule.shares.items():
                for place, part in _within(node, direct, teams).items():
                    weights[place] = weights.get(place, Fraction(0)) + part * Fraction(share)
            return weights


def _within(node: str, direct: Mapping[Place, Decimal], teams: Sequence[TeamHeads]) -> _Weights:
    """Where the share of a team or of a department goes: parts that together are 1."""
    kind, _, name = node.partition(":")
    there = [team.place for team in teams if getattr(team.place, kind) == name]
    if not there:
        raise ValueError(f"{node} has a fixed share and is no more: change the rules")
    if kind == "team":
        return {there[0]: Fraction(1)}
    used = {
        place: Fraction(usd) for place, usd in direct.items() if place.department == name and usd
    }
    if not used:
        return dict.fromkeys(there, Fraction(1, len(there)))
    whole = sum(used.values(), Fraction(0))
    return {place: part / whole for place, part in used.items()}


def _lines(
    own: Mapping[Place, _Counts], divided: Sequence[Mapping[Place, Decimal]]
) -> tuple[Line, ...]:
    places = sorted({*own, *(place for parts in divided for place in parts)}, key=_order)
    counts = [own.get(place, _Counts()) for place in places]
    shared = [
        sum((parts.get(place, Decimal(0)) for parts in divided), Decimal(0)) for place in places
    ]
    usd = [one.usd + more for one, more in zip(counts, shared, strict=True)]
    return tuple(
        Line(
            cost_centre=place.cost_centre,
            department=place.department,
            team=place.team,
            project=place.project,
            requests=one.requests,
            input_tokens=one.input_tokens,
            output_tokens=one.output_tokens,
            direct_usd=one.usd,
            shared_usd=more,
            usd=both,
            billed_usd=billed,
        )
        for place, one, more, both, billed in zip(
            places, counts, shared, usd, in_cents(usd), strict=True
        )
    )


def _order(place: Place) -> tuple[str, ...]:
    return place.order


def _kind_order(item: tuple[_Kind, _Counts]) -> tuple[str, ...]:
    place, *others = item[0]
    return (*place.order, *(one or "" for one in others))


def _charge(kind: _Kind, counts: _Counts) -> Charge:
    place, provider, model, region = kind
    return Charge(
        cost_centre=place.cost_centre,
        department=place.department,
        team=place.team,
        project=place.project,
        provider=provider,
        model=model,
        region=region,
        requests=counts.requests,
        input_tokens=counts.input_tokens,
        output_tokens=counts.output_tokens,
        usd=counts.usd,
    )


def _shared_charge(place: Place, usd: Decimal, name: str) -> Charge:
    return Charge(
        cost_centre=place.cost_centre,
        department=place.department,
        team=place.team,
        project=place.project,
        provider=None,
        model=None,
        region=None,
        requests=0,
        input_tokens=0,
        output_tokens=0,
        usd=usd,
        shared=name,
    )
