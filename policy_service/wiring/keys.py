"""The callers' keys, and when each was last used."""

from contextlib import AsyncExitStack

from sqlalchemy.ext.asyncio import AsyncEngine

from policy_service.adapters.sql.keys import ApiKeys
from policy_service.ports.clock import Clock
from policy_service.services.last_used import LastUsed
from policy_service.wiring.background import in_background


async def open_keys(
    stack: AsyncExitStack, engine: AsyncEngine, clock: Clock
) -> tuple[ApiKeys, LastUsed]:
    """The keys; what was used is noted in the background."""
    keys = ApiKeys(engine, clock)
    last_used = LastUsed(keys, clock)
    stack.push_async_callback(last_used.finish)
    await in_background(stack, last_used.run())
    return keys, last_used
