"""Which policy is live, and what its shadow would have said."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from dashboard.api.client import Client


@dataclass(frozen=True, slots=True)
class Bundle:
    """A signed policy that was uploaded."""

    digest: str
    revision: str
    key_id: str
    tests: str
    uploaded_by: str
    uploaded_at: datetime


@dataclass(frozen=True, slots=True)
class Activation:
    """A change of what is live; `None`: the service's own folder became so."""

    action: str
    digest: str | None
    revision: str | None
    reason: str
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """What is live and what is shadow, by digest."""

    live: str | None = None
    shadow: str | None = None


@dataclass(frozen=True, slots=True)
class Policies:
    """Every bundle, and what was live when."""

    rows: list[Bundle]
    standing: Standing
    history: list[Activation]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class ShadowCount:
    """What a shadow came to in an hour, for a team."""

    hour: datetime
    organisation: str
    team: str
    evaluated: int = 0
    differing: int = 0
    failed: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class ShadowDifference:
    """A decision that the shadow would have made otherwise."""

    at: datetime
    team: str
    operation: str
    asked_model: str
    kinds: tuple[str, ...]
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """What a shadow came to since it was switched on; without a bundle there is none."""

    bundle: Bundle | None = None
    since: datetime | None = None
    counts: list[ShadowCount] = field(default_factory=list)
    differences: list[ShadowDifference] = field(default_factory=list)


def policies(client: Client) -> Policies:
    """`GET /admin/v1/policies`, all of its pages."""
    first, *others = client.pages("policies", Policies)
    return replace(first, rows=[*first.rows, *(row for one in others for row in one.rows)])


def shadow(client: Client) -> ShadowReport:
    """`GET /admin/v1/policies/shadow`."""
    return client.get("policies/shadow", ShadowReport)
