"""A month divided among who used it, and closed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from dashboard.api.client import FRESH_S, Client, File, segment

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class ClosedPeriod:
    """A month that was closed: frozen, and its digest in the audit."""

    id: str
    organisation: str
    period: str
    closed_at: datetime
    closed_by: str
    total_usd: Decimal
    digest: str


@dataclass(frozen=True, slots=True)
class _Closed:
    rows: list[ClosedPeriod]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class SharedRule:
    """Which spend is shared, and by what it is divided: `usage`, `heads` or `fixed`."""

    name: str
    match: dict[str, str]
    allocate: str
    shares: dict[str, Decimal] | None = None


@dataclass(frozen=True, slots=True)
class BilledIn:
    """The currency that finance bills in."""

    code: str
    usd_rate: Decimal


@dataclass(frozen=True, slots=True)
class Rules:
    """How an organisation divides its spend."""

    organisation: str
    shared: list[SharedRule] = field(default_factory=list)
    currency: BilledIn | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """What one unit is charged: its own spend, and its part of what is shared."""

    department: str | None
    team: str | None
    cost_centre: str | None = None
    project: str | None = None
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    direct_usd: Decimal = ZERO
    shared_usd: Decimal = ZERO
    usd: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class SharedSum:
    """What came under one rule of sharing."""

    name: str
    usd: Decimal
    allocate: str


@dataclass(frozen=True, slots=True)
class Statement:
    """A month's chargeback; its lines add up to the ledger's sum, to the last digit."""

    organisation: str
    period: str
    total_usd: Decimal
    untagged_usd: Decimal
    shared_usd: Decimal
    lines: list[Line]
    tz: str = "UTC"
    shared: list[SharedSum] = field(default_factory=list)
    id: str | None = None
    closed_at: datetime | None = None
    closed_by: str | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """What a provider billed for a model, and what the ledger has."""

    model: str | None
    invoiced_usd: Decimal
    ledger_usd: Decimal
    difference_usd: Decimal
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """An invoice beside the ledger."""

    rows: list[Difference]
    invoiced_usd: Decimal
    ledger_usd: Decimal
    difference_usd: Decimal


def closed(client: Client, organisation: str) -> list[ClosedPeriod]:
    """`GET /admin/v1/chargebacks`, all of its pages."""
    pages = client.pages("chargebacks", _Closed, _of(organisation))
    return [row for page in pages for row in page.rows]


def rules(client: Client, organisation: str, *, old_s: float = FRESH_S) -> Rules:
    """`GET /admin/v1/chargebacks/rules`; so many seconds old at most."""
    return client.get("chargebacks/rules", Rules, _of(organisation), old_s=old_s)


def put_rules(client: Client, organisation: str, body: Mapping[str, object]) -> Rules:
    """`PUT /admin/v1/chargebacks/rules`: divide so from now on."""
    return client.put("chargebacks/rules", Rules, body, _of(organisation))


def preview(client: Client, organisation: str, period: str) -> Statement:
    """`GET /admin/v1/chargebacks/preview`."""
    query = [*_of(organisation), ("period", period)]
    return client.get("chargebacks/preview", Statement, query)


def statement(client: Client, chargeback_id: str) -> Statement:
    """`GET /admin/v1/chargebacks/{id}`."""
    return client.get(f"chargebacks/{segment(chargeback_id)}", Statement)


def close(client: Client, organisation: str, period: str) -> Statement:
    """`POST /admin/v1/chargebacks`: freeze the month."""
    return client.post("chargebacks", Statement, {"organisation": organisation, "period": period})


def export(client: Client, statement: Statement, kind: str) -> File:
    """The statement as a file: `csv`, `xlsx` or `focus`."""
    if statement.id is not None:
        return client.download(f"chargebacks/{segment(statement.id)}/export", [("format", kind)])
    query = [*_of(statement.organisation), ("period", statement.period), ("format", kind)]
    return client.download("chargebacks/preview/export", query)


def reconcile(
    client: Client, organisation: str, period: str, provider: str, invoice_csv: str
) -> Reconciliation:
    """`POST /admin/v1/chargebacks/reconcile`: changes nothing."""
    asked = {
        "organisation": organisation,
        "period": period,
        "provider": provider,
        "invoice_csv": invoice_csv,
    }
    return client.post_again("chargebacks/reconcile", Reconciliation, asked)


def _of(organisation: str) -> list[tuple[str, str]]:
    return [("organisation", organisation)]
