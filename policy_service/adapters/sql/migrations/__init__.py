"""Alembic migrations; run by `policy_service.adapters.sql.schema`, in the order of `versions`."""
