"""What was spent, by whatever dimension; and what the month comes to."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from dashboard.api.client import Client, Query

ZERO = Decimal(0)
# As many as the service gives at once: it adds up everything anew for each page of an answer.
_PAGE = "10000"
# What can be chosen in a filter changes slowly; the numbers beside it are fresh.
_VALUES_OLD_S = 60.0


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over calls. Token buckets are inclusive, as everywhere."""

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
    usd: Decimal = ZERO
    saved_usd: Decimal = ZERO
    routing_saved_usd: Decimal = ZERO
    cache_hits: int = 0
    fallbacks: int = 0
    estimated_requests: int = 0
    estimated_usd: Decimal = ZERO

    @property
    def tokens(self) -> int:
        """Input and output."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class CostRow(Sums):
    """The sums of one group in one interval.

    Args:
        keys: A value for each dimension that was asked for; `None` where the calls had none.
        start: Of the interval; `None` when none was asked for.
    """

    keys: dict[str, str | None] = field(default_factory=dict)
    start: datetime | None = None


@dataclass(frozen=True, slots=True)
class Costs:
    """Groups, and their total."""

    rows: list[CostRow]
    total: Sums
    tz: str = "UTC"
    next: str | None = None


@dataclass(frozen=True, slots=True)
class _Value:
    value: str | None


@dataclass(frozen=True, slots=True)
class _Values:
    rows: list[_Value]


@dataclass(frozen=True, slots=True)
class Forecast:
    """The month's end, with its band."""

    usd: Decimal
    low_usd: Decimal
    high_usd: Decimal
    method: str = ""


@dataclass(frozen=True, slots=True)
class Mover:
    """A team whose last 7 days differ from the 7 before."""

    department: str | None
    team: str | None
    usd: Decimal
    before_usd: Decimal
    change_usd: Decimal


@dataclass(frozen=True, slots=True)
class Summary:
    """The month so far, and where it goes."""

    month: str
    month_to_date: Sums
    as_of: datetime | None = None
    tz: str = "UTC"
    last_month_to_date_usd: Decimal = ZERO
    last_month_usd: Decimal = ZERO
    budget_usd: Decimal | None = None
    forecast: Forecast | None = None
    burn_usd_per_day: Decimal = ZERO
    saved_by_cache_usd: Decimal = ZERO
    saved_by_routing_usd: Decimal = ZERO
    movers: list[Mover] = field(default_factory=list)
    users: int = 0
    teams: int = 0


def summary(client: Client, query: Query = ()) -> Summary:
    """`GET /admin/v1/costs/summary`."""
    return client.get("costs/summary", Summary, query)


def costs(
    client: Client, query: Query, group_by: Sequence[str] = (), interval: str = "none"
) -> Costs:
    """`GET /admin/v1/costs`, all of its pages.

    Args:
        client: Whom to ask.
        query: The period and the filters.
        group_by: Dimensions.
        interval: `none`, `hour`, `day` or `month`.
    """
    pages = client.pages("costs", Costs, _asked(query, group_by, interval))
    rows = [row for page in pages for row in page.rows]
    return Costs(rows, pages[0].total, pages[0].tz)


def values(client: Client, query: Query, dimension: str) -> list[str | None]:
    """`GET /admin/v1/costs/values`: a dimension's values with calls, dearest first."""
    asked = [*query, ("dimension", dimension)]
    found = client.get("costs/values", _Values, asked, old_s=_VALUES_OLD_S)
    return [row.value for row in found.rows]


def _asked(query: Query, group_by: Sequence[str], interval: str) -> Query:
    by = [("group_by", ",".join(group_by))] if group_by else []
    return [*query, ("interval", interval), ("limit", _PAGE), *by]
