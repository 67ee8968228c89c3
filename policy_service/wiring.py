"""Opening and closing what one process of the policy service needs; names the adapters."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from llm_core.tokens.counted import LazyCounter
from policy_service.adapters.catalogue_file import read_catalogue
from policy_service.adapters.credentials import ProviderCredentials
from policy_service.adapters.http_providers import HttpProviders
from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.adapters.opa_policy import OpaPolicy
from policy_service.adapters.policy_bundle import load_bundle
from policy_service.adapters.price_list import PriceList, price_files
from policy_service.adapters.redis_limits import RedisLimitsStore
from policy_service.adapters.regopy_policy import RegopyPolicy
from policy_service.adapters.sql.callers import SqlCallers
from policy_service.adapters.sql.engine import open_engine
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.adapters.sql.reports import UsageReports
from policy_service.bundled import bundled
from policy_service.ports import Clock, LimitsStore, PolicyEngine
from policy_service.resources import Resources
from policy_service.services.decide import Decider
from policy_service.services.ledger_writer import LedgerWriter, Sweeper
from policy_service.services.reach import Reach
from policy_service.services.relay import Relay
from policy_service.services.reserving import Reserving
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
        ledger = SqlLedger(engine)
        tickets = Tickets(settings.ticket_secret.get_secret_value())
        reserving = Reserving(limits, ledger)
        settler = Settler(limits, reserving, clock)
        relay = Relay(
            limits=limits,
            reach=Reach(
                providers,
                ProviderCredentials(settings.credential, clock),
                settings.first_byte_timeout_s,
            ),
            settler=settler,
            tickets=tickets,
            clock=clock,
            count=LazyCounter(),
            lease_s=settings.lease_s,
        )
        decider = Decider(
            catalogue=read_catalogue(settings.models_file),
            prices=PriceList(price_files(settings.prices_dir or bundled("prices"))),
            policy=policy,
            limits=limits,
            reserving=reserving,
            tickets=tickets,
            clock=clock,
            ticket_ttl_s=settings.ticket_ttl_s,
            lease_s=settings.lease_s,
        )
        writer = LedgerWriter(limits, ledger)
        stack.push_async_callback(writer.finish)
        await _in_background(stack, writer.run())
        await _in_background(stack, Sweeper(settler, settings.sweep_interval_s).run())
        stack.push_async_callback(relay.drain)
        yield Resources(
            settings=settings,
            callers=SqlCallers(engine),
            ledger=ledger,
            reports=UsageReports(engine),
            limits=limits,
            policy=policy,
            decider=decider,
            settler=settler,
            relay=relay,
        )


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
