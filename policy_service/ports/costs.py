"""What was spent and used, cut in any way that the roll-ups keep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol


class Dimension(StrEnum):
    """What spend is grouped and filtered by."""

    ORGANISATION = "organisation"
    DEPARTMENT = "department"
    TEAM = "team"
    PROJECT = "project"
    USER = "user"
    APPLICATION = "application"
    COST_CENTRE = "cost_centre"
    MODEL = "model"
    """As the caller asked for it."""
    SERVED_MODEL = "served_model"
    """As the provider says, else as it was sent to."""
    PROVIDER = "provider"
    REGION = "region"
    OPERATION = "operation"
    USE_CASE = "use_case"
    ERROR_CLASS = "error_class"


@dataclass(frozen=True, slots=True)
class Scope:
    """Which calls are meant.

    Args:
        nodes: Those that the reader may see, each with all that stands below it; `None` for all.
        filters: For each dimension the values of which one must be met; an empty text stands for
            what is not tagged.
    """

    nodes: frozenset[str] | None
    filters: Mapping[Dimension, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sums:
    """What some calls come to.

    Args:
        failed: Of the requests, those whose `error_class` is not `none`.
        input_tokens: Buckets are inclusive, as in `TokenUsage`; what was not reported counts 0.
        saved_usd: What answers of the response cache would have cost.
        routing_saved_usd: What the calls would have cost at the dearest deployment that each could
            have taken, less what they did cost.
        cache_hits: Of the requests, those that the response cache answered.
        fallbacks: Further deployments that were tried.
        estimated_requests: Of the requests, those whose cost is an estimate.
    """

    requests: int = 0
    failed: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    input_audio_tokens: int = 0
    input_image_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    output_audio_tokens: int = 0
    cached_audio_tokens: int = 0
    usd: Decimal = Decimal(0)
    saved_usd: Decimal = Decimal(0)
    routing_saved_usd: Decimal = Decimal(0)
    cache_hits: int = 0
    fallbacks: int = 0
    estimated_requests: int = 0
    estimated_usd: Decimal = Decimal(0)


Keys = Mapping[str, str | None]
"""The value of each dimension that was grouped by; null for what is not tagged."""

Names = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Sums of one group.

    Args:
        span: Which of the times between `edges` it is of, from 0.
    """

    span: int
    keys: Keys
    sums: Sums


class Order(StrEnum):
    """In which order groups come."""

    USD = "usd"
    """The dearest first."""
    NAME = "name"
    START = "start"
    """The oldest first, and the dearest first within."""


@dataclass(frozen=True, slots=True)
class Page:
    """Which groups are wanted.

    Args:
        limit: How many at most; `None` for all.
        offset: After so many.
    """

    order: Order = Order.USD
    limit: int | None = None
    offset: int = 0


ALL = Page()


@dataclass(frozen=True, slots=True)
class Hour:
    """What was used in one full hour of UTC, or the part of it that was asked for."""

    start: datetime
    requests: int
    tokens: int
    usd: Decimal


@dataclass(frozen=True, slots=True)
class Active:
    """How many used anything; `span` as in `Group`, and -1 for the whole time."""

    span: int
    users: int
    applications: int
    teams: int
    requests: int


@dataclass(frozen=True, slots=True)
class Latency:
    """How long calls took, in ms.

    Args:
        count: So many were measured.
        mean: `None` of none; so are the others, and where no slots are kept for the question.
        p50: Half took no longer; within 4.8 %, as the next two.
    """

    count: int
    mean: float | None
    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class Reliability:
    """How calls of one group went.

    Args:
        failed: Those whose `error_class` is not `none`.
        errors: How many of each error class.
        overhead_ms: What the gateway itself added.
    """

    keys: Keys
    requests: int
    failed: int
    fallbacks: int
    errors: Mapping[str, int]
    total_ms: Latency
    first_token_ms: Latency
    overhead_ms: Latency


@dataclass(frozen=True, slots=True)
class Zone:
    """An organisation and its time zone."""

    organisation: str
    time_zone: str


class Costs(Protocol):
    """Answers from the roll-ups; hours that a time cuts come from the ledger's rows.

    Times are UTC-aware; `edges` ascend, and are cut as `llm_core.costs.calendar.edges` does. All
    raise `PolicyUnavailable` when the database fails.
    """

    async def sums(
        self,
        scope: Scope,
        edges: Sequence[datetime],
        group_by: Sequence[Dimension] = (),
        page: Page = ALL,
    ) -> tuple[Group, ...]:
        """Sums by span and group; groups without calls are left out."""
        ...

    async def hours(self, scope: Scope, start: datetime, end: datetime) -> tuple[Hour, ...]:
        """By full hour, the oldest first."""
        ...

    async def hourly_sums(
        self,
        scope: Scope,
        start: datetime,
        end: datetime,
        group_by: Sequence[Dimension],
        page: Page = ALL,
    ) -> tuple[tuple[datetime, Group], ...]:
        """As `sums`, by full hours of UTC; each group with its hour."""
        ...

    async def active(self, scope: Scope, edges: Sequence[datetime]) -> tuple[Active, ...]:
        """Who used anything, in each span with calls and in the whole time."""
        ...

    async def usd(
        self, scope: Scope, edges: Sequence[datetime], group_by: Sequence[Dimension] = ()
    ) -> Mapping[tuple[int, Names], Decimal]:
        """The spend alone, by span and the dimensions' values in their order."""
        ...

    async def monthly_budget(self, node: str, now: datetime) -> Decimal | None:
        """The USD that a node may spend in this month, raises in force included."""
        ...

    async def zones(self) -> tuple[Zone, ...]:
        """Every organisation's time zone."""
        ...


class Reliable(Protocol):
    """How calls went: errors from the roll-ups, percentiles from the slots."""

    async def reliability(
        self,
        scope: Scope,
        start: datetime,
        end: datetime,
        group_by: Sequence[Dimension],
    ) -> tuple[tuple[Reliability, ...], Reliability]:
        """Each group, the busiest first, and all together.

        Percentiles of what slots are not kept by (a user, a project, a region, ...) come from the
        ledger's rows, for a week at most; for longer they are `None`.
        """
        ...


class Ground(StrEnum):
    """What refusals are grouped by."""

    CODE = "code"
    RULE = "rule"
    TEAM = "team"
    MODEL = "model"
    USER = "user"
    DEPARTMENT = "department"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Calls that were refused alike.

    Args:
        last_at: The newest of them.
        message: What the code means; `None` where it is not grouped by.
    """

    keys: Keys
    count: int
    last_at: datetime
    message: str | None


class Refusals(Protocol):
    """Who was refused, and why, from the decision log."""

    async def refusals(
        self,
        scope: Scope,
        start: datetime,
        end: datetime,
        group_by: Sequence[Ground],
        limit: int,
        *,
        offset: int = 0,
    ) -> tuple[tuple[Refusal, ...], int]:
        """The most frequent groups, and how many calls were refused in all.

        A call that was refused for several reasons counts once, under the first that it was told.

        Raises:
            PolicyUnavailable: The database failed.
        """
        ...
