"""The life of the policy: bundles, which one was live when, and what a shadow would have said."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from policy_service.adapters.sql.tables.base import Base

_NUMBERED = BigInteger().with_variant(Integer(), "sqlite")


class StoredPolicy(Base):
    """A signed bundle that was tried and found good; never changed, never removed."""

    __tablename__ = "policy_bundles"

    digest: Mapped[str] = mapped_column(Text, primary_key=True)
    revision: Mapped[str] = mapped_column(Text)
    tarball: Mapped[bytes] = mapped_column(LargeBinary)
    key_id: Mapped[str] = mapped_column(Text)
    tests: Mapped[str] = mapped_column(Text)
    uploaded_by: Mapped[str] = mapped_column(Text)
    uploaded_at: Mapped[datetime]


class PolicyActivation(Base):
    """A change of what is live, the newest last; without a digest the service's own folder is."""

    __tablename__ = "policy_activations"

    seq: Mapped[int] = mapped_column(_NUMBERED, primary_key=True, autoincrement=True)
    action: Mapped[str] = mapped_column(Text)
    digest: Mapped[str | None] = mapped_column(ForeignKey("policy_bundles.digest"))
    reason: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]


class PolicyShadow(Base):
    """A change of what is evaluated beside the live policy; without a digest nothing is."""

    __tablename__ = "policy_shadows"

    seq: Mapped[int] = mapped_column(_NUMBERED, primary_key=True, autoincrement=True)
    digest: Mapped[str | None] = mapped_column(ForeignKey("policy_bundles.digest"))
    actor: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]


class PolicyShadowCount(Base):
    """What a run of a shadow (`policy_shadows.seq`) came to in an hour, by team."""

    __tablename__ = "policy_shadow_counts"

    shadow: Mapped[int] = mapped_column(
        BigInteger(), ForeignKey("policy_shadows.seq"), primary_key=True
    )
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    organisation: Mapped[str] = mapped_column(Text, primary_key=True)
    team: Mapped[str] = mapped_column(Text, primary_key=True)
    evaluated: Mapped[int]
    differing: Mapped[int]
    failed: Mapped[int]
    dropped: Mapped[int]


class PolicyDifference(Base):
    """A decision that a shadow would have made otherwise; the newest some hundred are kept."""

    __tablename__ = "policy_differences"
    __table_args__ = (Index(None, "shadow", "id"),)

    id: Mapped[int] = mapped_column(_NUMBERED, primary_key=True, autoincrement=True)
    shadow: Mapped[int] = mapped_column(BigInteger(), ForeignKey("policy_shadows.seq"))
    at: Mapped[datetime]
    live_revision: Mapped[str] = mapped_column(Text)
    organisation: Mapped[str] = mapped_column(Text)
    team: Mapped[str] = mapped_column(Text)
    operation: Mapped[str] = mapped_column(Text)
    asked_model: Mapped[str] = mapped_column(Text)
    kinds: Mapped[list[str]]
    before: Mapped[dict[str, Any]] = mapped_column(JSON(none_as_null=True))
    after: Mapped[dict[str, Any]] = mapped_column(JSON(none_as_null=True))
