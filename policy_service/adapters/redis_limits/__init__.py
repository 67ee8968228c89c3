"""Limits, reservations and the queue of usage rows in Redis."""

from policy_service.adapters.redis_limits.store import RedisLimitsStore

__all__ = ["RedisLimitsStore"]
