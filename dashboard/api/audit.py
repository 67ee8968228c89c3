"""The audit chain: what happened, and whether anybody has changed the record."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dashboard.api.client import Client, File, Query


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event as people read it; `payload` is `None` where it was erased."""

    chain: str
    seq: int
    id: str
    at: datetime
    kind: str
    hash: str
    actor: str | None = None
    subject: str | None = None
    payload: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Events:
    """A page of events; `next` is the cursor of the one with older events."""

    rows: list[EventRow]
    next: str | None = None


def events(client: Client, query: Query) -> Events:
    """`GET /admin/v1/audit/chain`: the newest of each chain first."""
    return client.get("audit/chain", Events, query)


def event(client: Client, event_id: str) -> EventRow | None:
    """One of them, however old; `None` where there is none that the viewer may read."""
    rows = events(client, [("id", event_id), ("limit", "1")]).rows
    # A service that knows no `id` would give the newest.
    return next((one for one in rows if one.id == event_id), None)


def export(client: Client, chain: str = "") -> File:
    """`GET /admin/v1/audit/export`: JSON Lines. That it was made is an event too."""
    return client.download("audit/export", [("chain", chain)] if chain else [])
