"""Events and checkpoints as rows of the database, and back."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import RowMapping

from llm_core.audit.event import Checkpoint, Event, NewEvent, content_of, rfc3339


def row_of(event: Event, new: NewEvent) -> dict[str, Any]:
    """The row of a link."""
    return {
        "chain": event.chain,
        "seq": event.seq,
        "id": event.id,
        "at": new.at,
        "kind": event.kind,
        "actor": new.actor,
        "subject": new.subject,
        "person": new.person,
        "payload": new.payload,
        "salt": event.salt,
        "payload_digest": event.payload_digest,
        "previous": event.previous,
        "hash": event.hash,
    }


def event_of(row: RowMapping) -> Event:
    """The link of a row; what the row's columns do not say any more is erased."""
    content = b"null"
    if row["payload"] is not None:
        content = content_of(row["actor"] or "", row["subject"] or "", row["payload"])
    return Event(
        chain=row["chain"],
        seq=row["seq"],
        id=row["id"],
        at=rfc3339(row["at"]),
        kind=row["kind"],
        payload_digest=row["payload_digest"],
        previous=row["previous"],
        hash=row["hash"],
        content=msgspec.Raw(content),
        salt=row["salt"],
    )


def checkpoint_of(row: RowMapping) -> Checkpoint:
    """The checkpoint of a row."""
    return Checkpoint(**{**row, "at": rfc3339(row["at"])})


def checkpoint_row(checkpoint: Checkpoint) -> dict[str, Any]:
    """The row of a checkpoint."""
    fields = msgspec.structs.asdict(checkpoint)
    return {**fields, "at": datetime.fromisoformat(checkpoint.at)}
