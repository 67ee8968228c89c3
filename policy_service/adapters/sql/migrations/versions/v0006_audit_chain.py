"""The audit chain."""

import sqlalchemy as sa
from alembic import op

from policy_service.adapters.sql.columns import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TABLES = (
    "audit_leases",
    "audit_cursors",
    "audit_outbox",
    "audit_checkpoints",
    "audit_heads",
    "audit_chain",
)


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "audit_chain",
        sa.Column("chain", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text()),
        sa.Column("subject", sa.Text()),
        sa.Column("person", sa.Text()),
        sa.Column("payload", sa.JSON(none_as_null=True)),
        sa.Column("salt", sa.Text()),
        sa.Column("payload_digest", sa.Text(), nullable=False),
        sa.Column("previous", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("chain", "seq", name=op.f("pk_audit_chain")),
        sa.UniqueConstraint("id", name=op.f("uq_audit_chain_id")),
    )
    op.create_index(op.f("ix_audit_chain_actor"), "audit_chain", ["actor"])
    op.create_index(op.f("ix_audit_chain_person"), "audit_chain", ["person"])
    op.create_index(op.f("ix_audit_chain_chain_at"), "audit_chain", ["chain", "at"])
    op.create_table(
        "audit_heads",
        sa.Column("chain", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("chain", name=op.f("pk_audit_heads")),
    )
    op.create_table(
        "audit_checkpoints",
        sa.Column("chain", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("previous", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("chain", "seq", name=op.f("pk_audit_checkpoints")),
    )
    op.create_table(
        "audit_outbox",
        sa.Column("seq", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("chain", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("payload", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_outbox")),
        sa.UniqueConstraint("id", name=op.f("uq_audit_outbox_id")),
    )
    op.create_table(
        "audit_cursors",
        sa.Column("sink", sa.Text(), nullable=False),
        sa.Column("chain", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("checkpoint", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sink", "chain", name=op.f("pk_audit_cursors")),
    )
    op.create_table(
        "audit_leases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_audit_leases")),
    )


def downgrade() -> None:
    """Take them away."""
    for table in _TABLES:
        op.drop_table(table)
