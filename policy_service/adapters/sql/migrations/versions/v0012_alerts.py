"""Incidents, and the outbox of what tells of them."""

import sqlalchemy as sa
from alembic import op

from policy_service.adapters.sql.columns import UtcDateTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_ID = sa.String(120)
_WORD = sa.String(40)


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "incidents",
        sa.Column("id", _ID, nullable=False),
        sa.Column("kind", _WORD, nullable=False),
        sa.Column("node", sa.String(160)),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("severity", _WORD, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("stage", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
        sa.Column("last_seen_at", UtcDateTime(), nullable=False),
        sa.Column("told_at", UtcDateTime(), nullable=False),
        sa.Column("recovered_at", UtcDateTime()),
        sa.Column("open_key", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incidents")),
        sa.UniqueConstraint("open_key", name=op.f("uq_incidents_open_key")),
    )
    op.create_index(op.f("ix_incidents_node"), "incidents", ["node"])
    op.create_index(op.f("ix_incidents_kind_recovered_at"), "incidents", ["kind", "recovered_at"])
    op.create_table(
        "alert_outbox",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("id", _ID, nullable=False),
        sa.Column("incident_id", _ID, nullable=False),
        sa.Column("channel", sa.String(200), nullable=False),
        sa.Column("step", sa.String(80), nullable=False),
        sa.Column("event", _WORD, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("incident", sa.JSON(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("is_urgent", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("claimed_by", _WORD),
        sa.Column("claimed_until", UtcDateTime()),
        sa.Column("sent_at", UtcDateTime()),
        sa.Column("fault", sa.Text()),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_alert_outbox")),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.id"], name=op.f("fk_alert_outbox_incident_id")
        ),
        sa.UniqueConstraint("id", name=op.f("uq_alert_outbox_id")),
        sa.UniqueConstraint(
            "incident_id", "channel", "step", name=op.f("uq_alert_outbox_incident_id_channel_step")
        ),
    )
    op.create_index(op.f("ix_alert_outbox_sent_at_due_at"), "alert_outbox", ["sent_at", "due_at"])


def downgrade() -> None:
    """Take them away."""
    op.drop_table("alert_outbox")
    op.drop_table("incidents")
