"""Requests for approval, their history, and what people were told of them."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, Text, false, text
from sqlalchemy.orm import Mapped, mapped_column

from policy_service.adapters.sql.tables.base import AMOUNT, ID, NAME, NODE, WORD, Base

_IS_OPEN = text("state = 'requested'")


class ApprovalRequest(Base):
    """A request, and what became of it; `ports.approvals.ApprovalRecord`.

    `identities` are all that the requester was known by: `user:ada`, `key:key_01...`. Of one
    requester, one node and one model there is one open request, which the index sees to.
    """

    __tablename__ = "approval_requests"
    __table_args__ = (
        Index(
            "uq_approval_requests_open",
            "requester",
            "node",
            "model",
            unique=True,
            postgresql_where=_IS_OPEN,
            sqlite_where=_IS_OPEN,
        ),
        Index(None, "state", "granted_until"),
        Index(None, "team", "id"),
        Index(None, "node"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    state: Mapped[str] = mapped_column(WORD)
    model: Mapped[str] = mapped_column(NAME)
    node: Mapped[str] = mapped_column(NODE)
    organisation: Mapped[str] = mapped_column(ID)
    department: Mapped[str] = mapped_column(ID)
    team: Mapped[str] = mapped_column(ID)
    project: Mapped[str | None] = mapped_column(ID)
    requester: Mapped[str] = mapped_column(NAME)
    reason: Mapped[str] = mapped_column(Text)
    asked_usd: Mapped[Decimal | None] = mapped_column(AMOUNT)
    asked_until: Mapped[datetime]
    created_at: Mapped[datetime]
    answer_by: Mapped[datetime]
    decided_by: Mapped[str | None] = mapped_column(NAME)
    decided_at: Mapped[datetime | None]
    decision_reason: Mapped[str] = mapped_column(Text, server_default="")
    granted_usd: Mapped[Decimal | None] = mapped_column(AMOUNT)
    granted_until: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class ApprovalIdentity(Base):
    """One of the identities by which a requester was known."""

    __tablename__ = "approval_identities"
    __table_args__ = (Index(None, "identity"),)

    request_id: Mapped[str] = mapped_column(
        ID, ForeignKey("approval_requests.id"), primary_key=True
    )
    identity: Mapped[str] = mapped_column(NAME, primary_key=True)


class ApprovalHistory(Base):
    """One step of a request: written with it, never changed."""

    __tablename__ = "approval_steps"
    __table_args__ = (Index(None, "request_id", "seq"),)

    seq: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True
    )
    request_id: Mapped[str] = mapped_column(ID, ForeignKey("approval_requests.id"))
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(NAME)
    step: Mapped[str] = mapped_column(WORD)
    reason: Mapped[str] = mapped_column(Text)
    amount_usd: Mapped[Decimal | None] = mapped_column(AMOUNT)
    until: Mapped[datetime | None]


class ApprovalNoticeRow(Base):
    """Somebody is to be told of a request, once for each kind, which the key sees to."""

    __tablename__ = "approval_notices"
    __table_args__ = (Index(None, "is_told", "claimed_at"),)

    request_id: Mapped[str] = mapped_column(
        ID, ForeignKey("approval_requests.id"), primary_key=True
    )
    kind: Mapped[str] = mapped_column(WORD, primary_key=True)
    at: Mapped[datetime]
    claimed_at: Mapped[datetime | None]
    is_told: Mapped[bool] = mapped_column(server_default=false())
