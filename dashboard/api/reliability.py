"""How providers fare: how fast, how often they fail, what was refused and why."""

from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from dashboard.api.client import LARGEST, Client, Query


@dataclass(frozen=True, slots=True)
class Spread:
    """How a duration is spread, in milliseconds; `None` where nothing was measured."""

    count: int = 0
    mean: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True)
class ReliabilityRow:
    """How one group fared. `failed` are requests, `errors` counts them by class."""

    requests: int = 0
    failed: int = 0
    fallbacks: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    total_ms: Spread = Spread()
    first_token_ms: Spread = Spread()
    overhead_ms: Spread = Spread()
    keys: dict[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reliability:
    """Groups, and their total."""

    rows: list[ReliabilityRow]
    total: ReliabilityRow


@dataclass(frozen=True, slots=True)
class DeploymentHealth:
    """How one deployment fares now."""

    deployment_id: str
    models: tuple[str, ...]
    provider: str
    region: str
    breaker: str
    time_to_first_token_ms: float | None
    tokens_per_s: float | None
    samples: int


@dataclass(frozen=True, slots=True)
class _Health:
    deployments: list[DeploymentHealth]


class BreakerStep(msgspec.Struct, frozen=True, rename={"before": "from", "after": "to"}):
    """A deployment's breaker went from one state into another."""

    at: datetime
    deployment_id: str
    provider: str
    model: str
    before: str
    after: str
    reason: str
    error_class: str = ""
    opens_until: datetime | None = None


class BreakerSteps(msgspec.Struct, frozen=True):
    """The newest steps, the newest first; `next_cursor` when there are older ones."""

    data: list[BreakerStep] = []
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class RefusalRow:
    """Calls that policy, a limit or a key's scope refused, of one group."""

    keys: dict[str, str | None]
    count: int
    last_at: datetime | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class _Refusals:
    rows: list[RefusalRow]
    next: str | None = None


def reliability(client: Client, query: Query, group_by: tuple[str, ...]) -> Reliability:
    """`GET /admin/v1/reliability`."""
    return client.get("reliability", Reliability, [*query, ("group_by", ",".join(group_by))])


def health(client: Client) -> list[DeploymentHealth]:
    """`GET /v1/providers/health`: every deployment, for who may see the whole platform's usage."""
    return client.get("/v1/providers/health", _Health).deployments


def breakers(client: Client, query: Query) -> BreakerSteps:
    """`GET /admin/v1/reliability/breakers`: one page."""
    return client.get("reliability/breakers", BreakerSteps, query)


def refusals(client: Client, query: Query, group_by: tuple[str, ...]) -> list[RefusalRow]:
    """`GET /admin/v1/refusals`: from the decision log, all of its pages."""
    asked = [*query, ("group_by", ",".join(group_by)), *LARGEST]
    return [row for page in client.pages("refusals", _Refusals, asked) for row in page.rows]
