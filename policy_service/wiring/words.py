"""What looks at words, and what keeps them."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.tokens.counted import LazyCounter
from policy_service.adapters.content_keys import content_keys
from policy_service.adapters.policy_bundle import PolicyBundle
from policy_service.adapters.screening import ScreeningPool
from policy_service.adapters.screening.live import LiveScreener
from policy_service.adapters.sql.content_log import SqlContentLog
from policy_service.digests import Digests
from policy_service.ports.screening import FindingsLog, Screener
from policy_service.services.content_log import ContentLog
from policy_service.services.decide import Decider
from policy_service.services.moderation import Moderator
from policy_service.services.own_calls import OwnCalls
from policy_service.services.redacting import ScreeningRedactor
from policy_service.services.relay import Relay
from policy_service.services.screening import Screening
from policy_service.settings import Settings
from policy_service.wiring.background import in_background


async def open_words(
    stack: AsyncExitStack,
    settings: Settings,
    engine: AsyncEngine,
    digests: Digests,
    live: Callable[[], PolicyBundle],
) -> tuple[Screener, ContentLog]:
    """What looks at words, by the lists of the policy in force; and what keeps them."""
    pool = ScreeningPool(
        {}, workers=settings.screening_workers, timeout_s=settings.screening_timeout_s
    )
    stack.push_async_callback(pool.close)
    screener = LiveScreener(pool, live)
    content = ContentLog(
        SqlContentLog(engine),
        content_keys(settings.content_keys, settings.credential),
        ScreeningRedactor(screener),
        digests=digests,
        most_part_bytes=settings.content_part_bytes,
        most_waiting_bytes=settings.content_waiting_bytes,
        most_days=settings.content_kept_days,
    )
    stack.push_async_callback(content.finish)
    await in_background(stack, content.run())
    return screener, content


def screening_of(
    stack: AsyncExitStack,
    screener: Screener,
    log: FindingsLog,
    decider: Decider,
    relay: Relay,
) -> Screening:
    """Screening where policy obliges it; moderation models are asked past the guard."""
    inner = replace(relay, screening=Screening(screener, is_moderating=True, log=log))
    stack.push_async_callback(inner.drain)
    return Screening(screener, Moderator(OwnCalls(decider, inner), LazyCounter()), log=log)
