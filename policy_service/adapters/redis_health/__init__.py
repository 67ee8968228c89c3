"""How deployments fare, shared by all processes through Redis."""

from policy_service.adapters.redis_health.store import RedisHealth

__all__ = ["RedisHealth"]
