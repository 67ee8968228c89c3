"""What is or was wrong, and who is still to be told of it."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from policy_service.adapters.sql.tables.base import ID, NAME, NODE, WORD, Base

_JSON = JSON(none_as_null=True)


class IncidentRow(Base):
    """An incident; `llm_core.alerts.incident.Incident`.

    `open_key` names kind and subject while it is open, and is null afterwards: it sees to it that
    each is opened once, whatever the number of processes. `stage` and `told_at` are the worst that
    people were told, and when they were last.
    """

    __tablename__ = "incidents"
    __table_args__ = (UniqueConstraint("open_key"), Index(None, "kind", "recovered_at"))

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    kind: Mapped[str] = mapped_column(WORD)
    node: Mapped[str | None] = mapped_column(NODE, index=True)
    subject: Mapped[str] = mapped_column(Text)
    severity: Mapped[str] = mapped_column(WORD)
    title: Mapped[str] = mapped_column(Text)
    detail: Mapped[str] = mapped_column(Text)
    facts: Mapped[dict[str, Any]] = mapped_column(_JSON)
    stage: Mapped[int]
    opened_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    told_at: Mapped[datetime]
    recovered_at: Mapped[datetime | None]
    open_key: Mapped[str | None] = mapped_column(Text)


class OutboxRow(Base):
    """A notice to a channel; `llm_core.alerts.incident.Notice`, with the incident as it was then.

    `step` names what of the incident it tells, so that nothing is told twice to a channel. A
    process that sends it has claimed it until `claimed_until`. What is urgent is critical, and does
    not wait for earlier notices that are not.
    """

    __tablename__ = "alert_outbox"
    __table_args__ = (
        UniqueConstraint("incident_id", "channel", "step"),
        Index(None, "sent_at", "due_at"),
    )

    seq: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True
    )
    id: Mapped[str] = mapped_column(ID, unique=True)
    incident_id: Mapped[str] = mapped_column(ID, ForeignKey("incidents.id"))
    channel: Mapped[str] = mapped_column(NAME)
    step: Mapped[str] = mapped_column(String(80))
    event: Mapped[str] = mapped_column(WORD)
    at: Mapped[datetime]
    incident: Mapped[dict[str, Any]] = mapped_column(_JSON)
    due_at: Mapped[datetime]
    is_urgent: Mapped[bool]
    attempts: Mapped[int]
    claimed_by: Mapped[str | None] = mapped_column(WORD)
    claimed_until: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    fault: Mapped[str | None] = mapped_column(Text)
