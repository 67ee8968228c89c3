"""What Alembic runs around the migrations; the connection is always the caller's."""

from alembic import context

from policy_service.adapters.sql.partitions import include_name
from policy_service.adapters.sql.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    include_name=include_name,
    render_as_batch=True,  # SQLite alters a table by copying it
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
