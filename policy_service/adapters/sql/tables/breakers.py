"""Which steps the deployments' breakers took."""

from datetime import datetime

from sqlalchemy import Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from policy_service.adapters.sql.tables.base import ID, WORD, Base


class BreakerTransitionRow(Base):
    """A step; `ports.breakers.BreakerTransition`, column by column.

    Its id is made from the step, so that several processes that tell of it write one row.
    """

    __tablename__ = "breaker_transitions"
    __table_args__ = (
        Index(None, "at", "id"),
        Index(None, "deployment_id", "at"),
        Index(None, "provider", "at"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    at: Mapped[datetime]
    deployment_id: Mapped[str] = mapped_column(Text)
    provider: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(Text)
    before: Mapped[str] = mapped_column("from_state", WORD, key="before")
    after: Mapped[str] = mapped_column("to_state", WORD, key="after")
    reason: Mapped[str] = mapped_column(WORD)
    error_class: Mapped[str] = mapped_column(WORD)
    opens_until: Mapped[datetime | None]
