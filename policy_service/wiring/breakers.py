"""The history of breakers: written, and kept for a time."""

from contextlib import AsyncExitStack

from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.catalogue import Catalogue
from policy_service.adapters.sql.breaker_log import SqlBreakerLog
from policy_service.ports.clock import Clock
from policy_service.services.breaker_history import BreakerHistory, BreakerRetention
from policy_service.settings import Settings
from policy_service.wiring.background import in_background


async def open_breaker_history(
    stack: AsyncExitStack,
    settings: Settings,
    engine: AsyncEngine,
    catalogue: Catalogue,
    clock: Clock,
) -> BreakerHistory:
    """What notes the breakers' steps, and writes them in the background."""
    log = SqlBreakerLog(engine)
    history = BreakerHistory(log, catalogue)
    stack.push_async_callback(history.finish)
    await in_background(stack, history.run())
    retention = BreakerRetention(log, clock, settings.breakers_kept_days)
    await in_background(stack, retention.run())
    return history
