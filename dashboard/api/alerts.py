"""What somebody should look at, and who is told of it."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from dashboard.api.client import LARGEST, Client, segment

_PER_PAGE = 200


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that is wrong, or was; told once, and once more when it is well again."""

    id: str
    kind: str
    severity: str
    title: str
    opened_at: datetime
    detail: str | None = None
    node: str | None = None
    subject: str | None = None
    last_seen_at: datetime | None = None
    recovered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Incidents:
    rows: list[Incident]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Channel:
    """Where alerts go; `kinds` is `None` for all of them."""

    name: str
    kind: str
    kinds: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class _Channels:
    rows: list[Channel]


@dataclass(frozen=True, slots=True)
class PassedThreshold:
    """A limit passed a soft threshold."""

    node: str
    measure: str
    percent: int
    used: Decimal
    amount: Decimal
    at: datetime
    period: str = ""


@dataclass(frozen=True, slots=True)
class _Thresholds:
    rows: list[PassedThreshold]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Delivered:
    """Whether a test came through."""

    delivered: bool


def incidents(client: Client) -> list[Incident]:
    """`GET /admin/v1/incidents`: every one that is open."""
    pages = client.pages("incidents", _Incidents, [("state", "open"), *LARGEST])
    return [row for page in pages for row in page.rows]


def past_incidents(client: Client, most_pages: int) -> tuple[list[Incident], bool]:
    """The same with those that are over: the newest, and whether there are older ones."""
    query = [("state", "all"), ("limit", str(_PER_PAGE))]
    pages = client.pages("incidents", _Incidents, query, most=most_pages)
    return [row for page in pages for row in page.rows], pages[-1].next is not None


def channels(client: Client) -> list[Channel]:
    """`GET /admin/v1/alerts/channels`."""
    return client.get("alerts/channels", _Channels).rows


def test_channel(client: Client, name: str) -> Delivered:
    """`POST /admin/v1/alerts/channels/{name}/test`."""
    return client.post(f"alerts/channels/{segment(name)}/test", Delivered)


def thresholds(client: Client, limit: int = 100) -> tuple[list[PassedThreshold], bool]:
    """`GET /admin/v1/alerts`: the newest passed soft thresholds, and whether there are older."""
    found = client.get("alerts", _Thresholds, [("limit", str(limit))])
    return found.rows, found.next is not None
