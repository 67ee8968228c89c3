"""Opening and closing what one process of the policy service needs; names the adapters."""

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from llm_core.catalogue import Catalogue, Deployment
from llm_core.operation import Operation
from llm_core.tokens.counted import LazyCounter
from policy_service.adapters.catalogue_file import read_catalogue
from policy_service.adapters.credentials import ProviderCredentials
from policy_service.adapters.http_probe import HttpProbe
from policy_service.adapters.http_providers import HttpProviders
from policy_service.adapters.memory_cache import MemoryCache
from policy_service.adapters.memory_health import MemoryHealth
from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.adapters.opa_policy import OpaPolicy
from policy_service.adapters.policy_bundle import load_bundle
from policy_service.adapters.price_list import PriceList, price_files
from policy_service.adapters.redis_cache import RedisCache
from policy_service.adapters.redis_health import RedisHealth
from policy_service.adapters.redis_limits import RedisLimitsStore
from policy_service.adapters.redis_neighbours import RedisNeighbours
from policy_service.adapters.regopy_policy import RegopyPolicy
from policy_service.adapters.sql.callers import SqlCallers
from policy_service.adapters.sql.engine import open_engine
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.adapters.sql.reports import UsageReports
from policy_service.bundled import bundled
from policy_service.ports.cache import ResponseCache
from policy_service.ports.clock import Clock
from policy_service.ports.limits import LimitsStore
from policy_service.ports.policy import PolicyEngine
from policy_service.ports.providers import Health
from policy_service.resources import Resources
from policy_service.services.answer_cache import AnswerCache
from policy_service.services.decide import Decider
from policy_service.services.embedding import Embedder
from policy_service.services.health import HealthChecks, each_deployment
from policy_service.services.ledger_writer import LedgerWriter, Sweeper
from policy_service.services.reach import Reach
from policy_service.services.relay import Relay
from policy_service.services.reserving import Reserving
from policy_service.services.semantic_cache import SemanticCache
from policy_service.services.settle import Settler
from policy_service.services.tickets import Tickets
from policy_service.settings import Settings


def utc_now() -> datetime:
    """The clock of the running service."""
    return datetime.now(UTC)


@asynccontextmanager
async def open_resources(settings: Settings, clock: Clock = utc_now) -> AsyncIterator[Resources]:
    """Open everything, run the background work, and close it all in the opposite order.

    Raises:
        ValueError: A file of models, prices or policy is at fault; the message says which and why.
    """
    async with AsyncExitStack() as stack:
        catalogue = read_catalogue(settings.models_file)
        engine = open_engine(settings.database_url)
        stack.push_async_callback(engine.dispose)
        limits: LimitsStore = (
            RedisLimitsStore(settings.redis_url) if settings.redis_url else MemoryLimitsStore()
        )
        stack.push_async_callback(limits.close)
        policy = await _policy(settings)
        stack.push_async_callback(policy.close)
        providers = HttpProviders(settings.idle_timeout_s)
        stack.push_async_callback(providers.close)
        credentials = ProviderCredentials(settings.credential, clock)
        stack.push_async_callback(credentials.close)
        health = await _health(stack, settings, catalogue, clock)
        ledger = SqlLedger(engine)
        tickets = Tickets(settings.ticket_secret.get_secret_value())
        reserving = Reserving(limits, ledger)
        settler = Settler(limits, reserving, clock, health)
        relay = Relay(
            limits=limits,
            reach=Reach(
                providers,
                credentials,
                health,
                clock,
                settings.first_byte_timeout_s,
                settings.total_timeout_s,
            ),
            settler=settler,
            tickets=tickets,
            clock=clock,
            count=LazyCounter(),
            lease_s=settings.lease_s,
        )
        decider = Decider(
            catalogue=catalogue,
            prices=PriceList(price_files(settings.prices_dir or bundled("prices"))),
            policy=policy,
            limits=limits,
            reserving=reserving,
            tickets=tickets,
            clock=clock,
            health=health,
            draw=random.random,
            ticket_ttl_s=settings.ticket_ttl_s,
            lease_s=settings.lease_s,
        )
        answers = AnswerCache(
            _cache(stack, settings),
            settler,
            settings.cache_max_answer_bytes,
            # A waiter's reservation must outlive its waiting.
            min(settings.cache_wait_s, settings.lease_s / 3),
            await _semantic(stack, settings, decider, relay),
        )
        decider, relay = replace(decider, answers=answers), replace(relay, answers=answers)
        writer = LedgerWriter(limits, ledger)
        stack.push_async_callback(writer.finish)
        await _in_background(stack, writer.run())
        await _in_background(stack, Sweeper(settler, settings.sweep_interval_s).run())
        stack.push_async_callback(relay.drain)
        yield Resources(
            settings=settings,
            catalogue=catalogue,
            health=health,
            callers=SqlCallers(engine),
            ledger=ledger,
            reports=UsageReports(engine),
            limits=limits,
            policy=policy,
            decider=decider,
            settler=settler,
            relay=relay,
        )


async def _health(
    stack: AsyncExitStack, settings: Settings, catalogue: Catalogue, clock: Clock
) -> Health:
    """How deployments fare, kept up to date in the background."""
    rules, trial_s = settings.breaker_rules, settings.breaker_trial_s
    health: Health = MemoryHealth(rules, clock, trial_s)
    if settings.redis_url:
        ids = [deployment.id for deployment in each_deployment(catalogue)]
        shared = RedisHealth(settings.redis_url, rules, clock, deployment_ids=ids, trial_s=trial_s)
        stack.push_async_callback(shared.close)
        await _in_background(stack, shared.run())
        health = shared
    if any(deployment.is_probed for deployment in each_deployment(catalogue)):
        probe = HttpProbe(settings.credential)
        stack.push_async_callback(probe.close)
        checks = HealthChecks(catalogue, health, probe, settings.probe_interval_s)
        await _in_background(stack, checks.run())
    return health


def _cache(stack: AsyncExitStack, settings: Settings) -> ResponseCache:
    url = settings.cache_redis_url or settings.redis_url
    cache: ResponseCache = RedisCache(url) if url else MemoryCache(settings.cache_memory_bytes)
    stack.push_async_callback(cache.close)
    return cache


async def _semantic(
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
    neighbours = RedisNeighbours(url)
    stack.push_async_callback(neighbours.close)
    await neighbours.check()
    stack.push_async_callback(relay.drain)
    return SemanticCache(neighbours, Embedder(decider, relay, model, LazyCounter()), model)


def _embeds(deployment: Deployment) -> bool:
    return deployment.operations is not None and Operation.EMBEDDINGS in deployment.operations


async def _policy(settings: Settings) -> PolicyEngine:
    bundle = load_bundle(settings.rego_dir or bundled("rego"))
    if not settings.opa_url:
        return RegopyPolicy(bundle)
    pushed = bundle if settings.opa_push else None
    return OpaPolicy(settings.opa_url, timeout_s=settings.opa_timeout_s, bundle=pushed)


async def _in_background(stack: AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)

    async def stop() -> None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    stack.push_async_callback(stop)
