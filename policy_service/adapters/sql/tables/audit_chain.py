"""The audit chain: its links, their checkpoints, what waits for its place, and who works at it."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from policy_service.adapters.sql.tables.base import Base

_JSON = JSON(none_as_null=True)


class AuditLink(Base):
    """An event in its chain; `llm_core.audit.event.Event`.

    `actor`, `subject`, `person`, `payload` and `salt` are null once they are erased; all that is
    hashed into the chain stays.
    """

    __tablename__ = "audit_chain"
    __table_args__ = (
        Index(None, "actor"),
        Index(None, "person"),
        Index(None, "chain", "at"),
    )

    chain: Mapped[str] = mapped_column(Text, primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(Text, unique=True)
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(Text)
    actor: Mapped[str | None] = mapped_column(Text)
    subject: Mapped[str | None] = mapped_column(Text)
    person: Mapped[str | None] = mapped_column(Text)
    payload: Mapped[dict[str, Any] | None] = mapped_column(_JSON)
    salt: Mapped[str | None] = mapped_column(Text)
    payload_digest: Mapped[str] = mapped_column(Text)
    previous: Mapped[str] = mapped_column(Text)
    hash: Mapped[str] = mapped_column(Text)


class AuditHead(Base):
    """Where a chain ends: its last event."""

    __tablename__ = "audit_heads"

    chain: Mapped[str] = mapped_column(Text, primary_key=True)
    seq: Mapped[int]
    hash: Mapped[str] = mapped_column(Text)


class AuditCheckpoint(Base):
    """A signed statement of what a chain was; `llm_core.audit.event.Checkpoint`."""

    __tablename__ = "audit_checkpoints"

    chain: Mapped[str] = mapped_column(Text, primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    hash: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    previous: Mapped[str] = mapped_column(Text)
    key_id: Mapped[str] = mapped_column(Text)
    signature: Mapped[str] = mapped_column(Text)


class AuditOutbox(Base):
    """Events that were committed with what they are about and have no place in a chain yet."""

    __tablename__ = "audit_outbox"

    seq: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True
    )
    id: Mapped[str] = mapped_column(Text, unique=True)
    chain: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    payload: Mapped[dict[str, Any]] = mapped_column(_JSON)


class AuditCursor(Base):
    """How far a chain was shipped to a sink: its events, and its checkpoints."""

    __tablename__ = "audit_cursors"

    sink: Mapped[str] = mapped_column(Text, primary_key=True)
    chain: Mapped[str] = mapped_column(Text, primary_key=True)
    seq: Mapped[int]
    checkpoint: Mapped[int]


class AuditLease(Base):
    """Which process does a piece of work that one is enough for."""

    __tablename__ = "audit_leases"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    owner: Mapped[str] = mapped_column(Text)
    until: Mapped[datetime]
