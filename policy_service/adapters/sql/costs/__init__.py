"""What was spent and used, and how calls went, from the roll-ups."""

from policy_service.adapters.sql.costs.refusals import SqlRefusals
from policy_service.adapters.sql.costs.reliability import SqlReliability
from policy_service.adapters.sql.costs.store import SqlCosts

__all__ = ["SqlCosts", "SqlRefusals", "SqlReliability"]
