"""What was said: the content log."""

from datetime import datetime

from sqlalchemy import Index, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from policy_service.adapters.sql.tables.base import Base


class ContentEntry(Base):
    """The words of one call, as far as policy wants them kept; `ports.content.ContentRow`.

    At the level `redacted` the words are `question` and `answer`, at `full` they are in
    `sealed_question` and `sealed_answer`, encrypted. `kept_until` is when they go.
    """

    __tablename__ = "content_log"
    __table_args__ = (
        Index(None, "at", "decision_id"),
        Index(None, "team", "at"),
        Index(None, "user", "at"),
        Index(None, "kept_until"),
        Index(None, "key_id"),
    )

    decision_id: Mapped[str] = mapped_column(Text, primary_key=True)
    at: Mapped[datetime]
    organisation: Mapped[str] = mapped_column(Text)
    department: Mapped[str] = mapped_column(Text)
    team: Mapped[str] = mapped_column(Text)
    user: Mapped[str | None] = mapped_column("user_id", Text, key="user")
    asked_model: Mapped[str] = mapped_column(Text)
    level: Mapped[str] = mapped_column(Text)
    kept_until: Mapped[datetime]
    error_class: Mapped[str] = mapped_column(Text)
    request_digest: Mapped[str | None] = mapped_column(Text)
    response_digest: Mapped[str | None] = mapped_column(Text)
    request_bytes: Mapped[int | None]
    response_bytes: Mapped[int | None]
    question: Mapped[str | None] = mapped_column(Text)
    answer: Mapped[str | None] = mapped_column(Text)
    sealed_question: Mapped[bytes | None] = mapped_column(LargeBinary)
    sealed_answer: Mapped[bytes | None] = mapped_column(LargeBinary)
    key_id: Mapped[str | None] = mapped_column(Text)
    is_cut: Mapped[bool]
    gap: Mapped[str] = mapped_column(Text)
