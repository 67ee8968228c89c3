"""Chargeback: how each organisation divides shared costs, and the months that were closed."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import LargeBinary, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from policy_service.adapters.sql.tables.base import ID, USD, Base


class ChargebackRules(Base):
    """An organisation's rules: `llm_core.chargeback.rules.Rules` as JSON."""

    __tablename__ = "chargeback_rules"

    organisation: Mapped[str] = mapped_column(ID, primary_key=True)
    rules: Mapped[str] = mapped_column(Text)


class Chargeback(Base):
    """A closed month; never changed, never removed. It outlives its organisation.

    `kept` is what `llm_core.chargeback.frozen` makes, and `digest` is of it.
    """

    __tablename__ = "chargebacks"
    __table_args__ = (UniqueConstraint("organisation", "period"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    organisation: Mapped[str] = mapped_column(Text)
    period: Mapped[str] = mapped_column(Text)
    closed_at: Mapped[datetime]
    closed_by: Mapped[str] = mapped_column(Text)
    total_usd: Mapped[Decimal] = mapped_column(USD)
    digest: Mapped[str] = mapped_column(Text)
    kept: Mapped[bytes] = mapped_column(LargeBinary)
