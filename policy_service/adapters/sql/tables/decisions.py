"""What was decided: the decision log."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from policy_service.adapters.sql.tables.base import Base

_REFUSED = text("refused_for IS NOT NULL")


class DecisionEntry(Base):
    """One answer of the policy; `ports.decision_log.LoggedDecision`, column by column.

    `input` is what policy was asked, redacted; null once it was erased or its time is over.
    """

    __tablename__ = "decisions"
    __table_args__ = (
        Index(None, "at", "decision_id"),
        Index(None, "team", "at"),
        Index(None, "user", "at"),
        Index(None, "refused_for", "at", postgresql_where=_REFUSED, sqlite_where=_REFUSED),
    )

    decision_id: Mapped[str] = mapped_column(Text, primary_key=True)
    at: Mapped[datetime]
    organisation: Mapped[str] = mapped_column(Text)
    department: Mapped[str] = mapped_column(Text)
    team: Mapped[str] = mapped_column(Text)
    user: Mapped[str | None] = mapped_column("user_id", Text, key="user")
    operation: Mapped[str] = mapped_column(Text)
    asked_model: Mapped[str] = mapped_column(Text)
    allow: Mapped[bool]
    codes: Mapped[list[str]]
    revision: Mapped[str] = mapped_column(Text)
    engine: Mapped[str] = mapped_column(Text)
    duration_ms: Mapped[float]
    input_digest: Mapped[str] = mapped_column(Text)
    input: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    result: Mapped[dict[str, Any]] = mapped_column(JSON(none_as_null=True))
    refused_for: Mapped[str | None] = mapped_column(Text)
