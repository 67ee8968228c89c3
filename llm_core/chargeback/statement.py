"""A month's statement: what everybody spent, and their part of what was spent for all."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal

import msgspec

from llm_core.chargeback.rules import Allocation, Currency

_PLACES = ("department", "team", "project")


class Place(msgspec.Struct, frozen=True):
    """Whose line it is; `None` is told as untagged, and never left out."""

    cost_centre: str | None
    department: str
    team: str
    project: str | None

    @property
    def order(self) -> tuple[str, ...]:
        """For sorting."""
        return (self.department, self.team, self.project or "", self.cost_centre or "")


class Spent(msgspec.Struct, frozen=True):
    """What the ledger has of one place and one kind of calls.

    Args:
        call: Every dimension that a rule asks for, and `provider`, `served_model`, `region`.
    """

    place: Place
    call: Mapping[str, str | None]
    requests: int
    input_tokens: int
    output_tokens: int
    usd: Decimal


class TeamHeads(msgspec.Struct, frozen=True):
    """A team as it is now.

    Args:
        place: Where its part of shared costs is put.
        heads: Its active people.
    """

    place: Place
    heads: int


class Line(msgspec.Struct, frozen=True):
    """What one place pays.

    Args:
        requests: All of its calls, those included that are paid for together.
        direct_usd: What it spent for itself.
        shared_usd: Its part of shared costs.
        usd: Both, with every digit of the ledger.
        billed_usd: `usd` in cents; the lines' cents add up to the total's.
    """

    cost_centre: str | None
    department: str
    team: str
    project: str | None
    requests: int
    input_tokens: int
    output_tokens: int
    direct_usd: Decimal
    shared_usd: Decimal
    usd: Decimal
    billed_usd: Decimal


class SharedTotal(msgspec.Struct, frozen=True):
    """What a shared cost came to.

    Args:
        stayed: Nobody could be asked to pay by the rule, so each paid for their own calls.
    """

    name: str
    usd: Decimal
    allocate: Allocation
    stayed: bool = False


class Charge(msgspec.Struct, frozen=True):
    """A part of a line, by provider, model and region, or of a shared cost.

    Args:
        shared: The shared cost; `None` for calls of the place's own.
    """

    cost_centre: str | None
    department: str
    team: str
    project: str | None
    provider: str | None
    model: str | None
    region: str | None
    requests: int
    input_tokens: int
    output_tokens: int
    usd: Decimal
    shared: str | None = None


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A month of an organisation.

    Args:
        id: Once it is closed; nobody changes it then.
        period: Such as `2026-11`, by the clocks of `tz`.
        starts_at: Its first moment; `ends_at` is the first of the next month.
        total_usd: The ledger's sum, which the lines add up to.
        untagged_usd: What is in lines without a cost centre.
        shared_usd: What was spent for all; it is in the lines as well.
        billed_usd: The lines' cents together.
        within: The nodes that the reader sees; every sum is theirs only. `None`: the whole.
        adjustments_usd: What the ledger has now, less what was frozen; `None` before the closing
            and for who does not see the whole.
    """

    id: str | None = None
    organisation: str
    period: str
    tz: str
    starts_at: datetime = msgspec.field(name="from")
    ends_at: datetime = msgspec.field(name="to")
    total_usd: Decimal = Decimal(0)
    untagged_usd: Decimal = Decimal(0)
    shared_usd: Decimal = Decimal(0)
    billed_usd: Decimal = Decimal(0)
    lines: tuple[Line, ...]
    shared: tuple[SharedTotal, ...]
    currency: Currency | None = None
    closed_at: datetime | None = None
    closed_by: str | None = None
    digest: str | None = None
    within: tuple[str, ...] | None = None
    adjustments_usd: Decimal | None = None


class Document(msgspec.Struct, frozen=True):
    """A statement with what its lines are made of; this is what is frozen."""

    statement: Statement
    charges: tuple[Charge, ...]


def restricted(document: Document, nodes: Collection[str] | None) -> Document:
    """Only the lines at or below some nodes, with sums of these; `None` for the whole.

    What a line owes stays as it is in the whole, to the cent.
    """
    whole = document.statement
    if nodes is None or f"organisation:{whole.organisation}" in nodes:
        return document
    seen = frozenset(nodes)
    lines = tuple(line for line in whole.lines if _is_within(line, seen))
    charges = tuple(charge for charge in document.charges if _is_within(charge, seen))
    shared = tuple(
        msgspec.structs.replace(
            one, usd=_sum(charge.usd for charge in charges if charge.shared == one.name)
        )
        for one in whole.shared
    )
    seen_statement = msgspec.structs.replace(
        whole,
        lines=lines,
        shared=shared,
        within=tuple(sorted(seen)),
        adjustments_usd=None,
    )
    return Document(summed(seen_statement), charges)


def summed(statement: Statement) -> Statement:
    """The statement with the sums of its lines."""
    lines = statement.lines
    return msgspec.structs.replace(
        statement,
        total_usd=_sum(line.usd for line in lines),
        untagged_usd=_sum(line.usd for line in lines if line.cost_centre is None),
        shared_usd=_sum(line.shared_usd for line in lines),
        billed_usd=_sum(line.billed_usd for line in lines),
    )


def _is_within(part: Line | Charge, nodes: frozenset[str]) -> bool:
    return any(f"{kind}:{getattr(part, kind)}" in nodes for kind in _PLACES)


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, Decimal(0))
