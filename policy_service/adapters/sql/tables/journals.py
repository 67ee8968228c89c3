"""What plugins say of their journals."""

from datetime import datetime

from sqlalchemy import Integer
from sqlalchemy.orm import Mapped, mapped_column

from policy_service.adapters.sql.tables.base import NAME, Base


class PluginJournalRow(Base):
    """One journal as it was heard of last; `ports.journals.HeardJournal`."""

    __tablename__ = "plugin_journals"

    name: Mapped[str] = mapped_column(NAME, primary_key=True)
    waiting: Mapped[int] = mapped_column(Integer)
    oldest_s: Mapped[int] = mapped_column(Integer)
    is_full: Mapped[bool]
    heard_at: Mapped[datetime]
    since: Mapped[datetime]
