"""Requests for costly or restricted models, and what became of them."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import msgspec

from dashboard.api.client import LARGEST, Client, segment


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a request's history."""

    at: datetime
    actor: str
    step: str
    reason: str = ""
    amount_usd: Decimal | None = None
    until: datetime | None = None


class Approval(msgspec.Struct, frozen=True, kw_only=True, rename={"node": "for"}):
    """A request, and what became of it; `None` for an amount is no cap."""

    id: str
    state: str
    model: str
    node: str
    organisation: str
    department: str
    team: str
    project: str | None = None
    requester: str
    reason: str
    asked_usd: Decimal | None = None
    asked_until: datetime
    created_at: datetime
    answer_by: datetime | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None
    decision_reason: str = ""
    granted_usd: Decimal | None = None
    granted_until: datetime | None = None
    ended_at: datetime | None = None
    spent_usd: Decimal = Decimal(0)
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class _Approvals:
    rows: list[Approval]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Rates:
    """USD for a million tokens; what is `None` costs what the bucket around it does."""

    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Tier:
    """Rates of calls with longer inputs."""

    above_input_tokens: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class Price:
    """What a deployment costs now."""

    is_free: bool
    rates: Rates
    tiers: tuple[Tier, ...] = ()


@dataclass(frozen=True, slots=True)
class PricedDeployment:
    """One deployment of a model; `price` is `None` where none is known."""

    deployment: str
    provider: str
    price: Price | None = None


@dataclass(frozen=True, slots=True)
class _Prices:
    rows: list[PricedDeployment]


def waiting(client: Client) -> list[Approval]:
    """`GET /admin/v1/approvals`: all that wait for an answer, the newest first."""
    pages = client.pages("approvals", _Approvals, [("state", "requested"), *LARGEST])
    return [row for page in pages for row in page.rows]


def newest(client: Client, *, model: str = "", team: str = "", limit: int = 200) -> list[Approval]:
    """`GET /admin/v1/approvals`: the newest first, whatever has become of them."""
    wanted = {"model": model, "team": team, "limit": str(limit)}
    query = [(name, value) for name, value in wanted.items() if value]
    return client.get("approvals", _Approvals, query).rows


def shown(client: Client, approval_id: str) -> Approval:
    """`GET /admin/v1/approvals/{id}`: one with its history."""
    return client.get(f"approvals/{segment(approval_id)}", Approval)


def prices(client: Client, model: str) -> list[PricedDeployment]:
    """`GET /admin/v1/prices`: what a model's deployments cost."""
    return client.get("prices", _Prices, [("model", model)]).rows


def grant(
    client: Client,
    approval_id: str,
    *,
    amount_usd: Decimal | None,
    until: datetime | None,
    reason: str,
) -> Approval:
    """`POST /admin/v1/approvals/{id}/grant`: what was asked for, or less, or more."""
    asked: dict[str, object] = {"reason": reason}
    asked |= {} if amount_usd is None else {"amount_usd": amount_usd}
    asked |= {} if until is None else {"until": until}
    return client.post(f"approvals/{segment(approval_id)}/grant", Approval, asked)


def end(client: Client, approval_id: str, step: str, reason: str) -> Approval:
    """`POST /admin/v1/approvals/{id}/refuse` or `/revoke`."""
    path = f"approvals/{segment(approval_id)}/{step}"
    return client.post(path, Approval, {"reason": reason})
