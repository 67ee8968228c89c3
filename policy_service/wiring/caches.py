"""The response cache, exact and by near questions; what is for Redis is loaded only with it."""

from contextlib import AsyncExitStack

from llm_core.catalogue import Deployment
from llm_core.operation import Operation
from llm_core.tokens.counted import LazyCounter
from policy_service.adapters.memory_cache import MemoryCache
from policy_service.ports.cache import ResponseCache
from policy_service.services.decide import Decider
from policy_service.services.embedding import Embedder
from policy_service.services.own_calls import OwnCalls
from policy_service.services.relay import Relay
from policy_service.services.semantic_cache import SemanticCache
from policy_service.settings import Settings


def open_cache(stack: AsyncExitStack, settings: Settings) -> ResponseCache:
    """Kept answers: in Redis, or in this process."""
    url = settings.cache_redis_url or settings.redis_url
    cache: ResponseCache
    if url:
        from policy_service.adapters.redis_cache import RedisCache  # noqa: PLC0415

        cache = RedisCache(url)
    else:
        cache = MemoryCache(settings.cache_memory_bytes)
    stack.push_async_callback(cache.close)
    return cache


async def open_semantic_cache(
    stack: AsyncExitStack, settings: Settings, decider: Decider, relay: Relay
) -> SemanticCache | None:
    """Search for near questions, if that is wanted; it embeds past the response cache."""
    model = settings.semantic_cache_model
    if model is None:
        return None
    url = settings.cache_redis_url or settings.redis_url
    if url is None:
        raise ValueError(
            "POLICY_SEMANTIC_CACHE_MODEL needs a Redis with vector sets (Redis 8 or newer): set "
            "POLICY_CACHE_REDIS_URL or POLICY_REDIS_URL"
        )
    if not any(
        _embeds(one)
        for known in decider.catalogue.models
        if known.alias == model
        for one in known.deployments
    ):
        raise ValueError(
            "POLICY_SEMANTIC_CACHE_MODEL names no model of the catalogue that serves embeddings"
        )
    from policy_service.adapters.redis_neighbours import RedisNeighbours  # noqa: PLC0415

    neighbours = RedisNeighbours(url)
    stack.push_async_callback(neighbours.close)
    await neighbours.check()
    stack.push_async_callback(relay.drain)
    return SemanticCache(
        neighbours, Embedder(OwnCalls(decider, relay), model, LazyCounter()), model
    )


def _embeds(deployment: Deployment) -> bool:
    return deployment.operations is not None and Operation.EMBEDDINGS in deployment.operations
