"""Approvals in SQL."""

from policy_service.adapters.sql.approvals.store import SqlApprovals

__all__ = ["SqlApprovals"]
