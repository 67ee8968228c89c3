"""The life of the policy: bundles, activations, shadows and what they would have said."""

import sqlalchemy as sa
from alembic import op

from policy_service.adapters.sql.columns import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_NUMBERED = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_JSON = sa.JSON(none_as_null=True)


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "policy_bundles",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("tarball", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("tests", sa.Text(), nullable=False),
        sa.Column("uploaded_by", sa.Text(), nullable=False),
        sa.Column("uploaded_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_policy_bundles")),
    )
    op.create_table(
        "policy_activations",
        sa.Column("seq", _NUMBERED, autoincrement=True, nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_policy_activations")),
        _of_a_bundle("policy_activations"),
    )
    op.create_table(
        "policy_shadows",
        sa.Column("seq", _NUMBERED, autoincrement=True, nullable=False),
        sa.Column("digest", sa.Text()),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_policy_shadows")),
        _of_a_bundle("policy_shadows"),
    )
    op.create_table(
        "policy_shadow_counts",
        sa.Column("shadow", sa.BigInteger(), nullable=False),
        sa.Column("hour", UtcDateTime(), nullable=False),
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("evaluated", sa.BigInteger(), nullable=False),
        sa.Column("differing", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("dropped", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "shadow", "hour", "organisation", "team", name=op.f("pk_policy_shadow_counts")
        ),
        _of_a_shadow("policy_shadow_counts"),
    )
    op.create_table(
        "policy_differences",
        sa.Column("id", _NUMBERED, autoincrement=True, nullable=False),
        sa.Column("shadow", sa.BigInteger(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("live_revision", sa.Text(), nullable=False),
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("asked_model", sa.Text(), nullable=False),
        sa.Column("kinds", _JSON, nullable=False),
        sa.Column("before", _JSON, nullable=False),
        sa.Column("after", _JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_differences")),
        _of_a_shadow("policy_differences"),
    )
    op.create_index(op.f("ix_policy_differences_shadow_id"), "policy_differences", ["shadow", "id"])


def downgrade() -> None:
    """Take them away."""
    for table in (
        "policy_differences",
        "policy_shadow_counts",
        "policy_shadows",
        "policy_activations",
        "policy_bundles",
    ):
        op.drop_table(table)


def _of_a_bundle(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_digest")
    return sa.ForeignKeyConstraint(["digest"], ["policy_bundles.digest"], name=name)


def _of_a_shadow(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_shadow")
    return sa.ForeignKeyConstraint(["shadow"], ["policy_shadows.seq"], name=name)
