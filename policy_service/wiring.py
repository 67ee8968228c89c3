"""Opening and closing what one process of the policy service needs; names the adapters."""

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.catalogue import Catalogue, Deployment
from llm_core.errors import PolicyUnavailable
from llm_core.operation import Operation
from llm_core.tokens.counted import LazyCounter
from policy_service.adapters.catalogue_file import read_catalogue
from policy_service.adapters.content_keys import content_keys
from policy_service.adapters.credentials import ProviderCredentials
from policy_service.adapters.http_probe import HttpProbe
from policy_service.adapters.http_providers import HttpProviders
from policy_service.adapters.memory_cache import MemoryCache
from policy_service.adapters.memory_health import MemoryHealth
from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.adapters.oidc import OidcTokens, read_issuers
from policy_service.adapters.policies.desk import Desk
from policy_service.adapters.policies.engines import Engines
from policy_service.adapters.policies.folder import WatchedFolder
from policy_service.adapters.policies.live import LivePolicy
from policy_service.adapters.policies.shadow import Shadow
from policy_service.adapters.policies.signing import read_trusted_keys
from policy_service.adapters.policy_networks import PolicyNetworks
from policy_service.adapters.price_list import PriceList, price_files
from policy_service.adapters.redis_cache import RedisCache
from policy_service.adapters.redis_changes import RedisWakes
from policy_service.adapters.redis_health import RedisHealth
from policy_service.adapters.redis_limits import RedisLimitsStore
from policy_service.adapters.redis_neighbours import RedisNeighbours
from policy_service.adapters.screening import ScreeningPool, content_in
from policy_service.adapters.sql.admin_tokens import SqlAdminTokens
from policy_service.adapters.sql.approvals import SqlApprovals
from policy_service.adapters.sql.audit import AuditLog
from policy_service.adapters.sql.callers import SqlCallers
from policy_service.adapters.sql.changes import SqlChangeLog
from policy_service.adapters.sql.company import CompanyStore
from policy_service.adapters.sql.content_log import SqlContentLog
from policy_service.adapters.sql.engine import open_engine
from policy_service.adapters.sql.grants import SqlGrants
from policy_service.adapters.sql.keys import ApiKeys
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.adapters.sql.organisation import Organisation
from policy_service.adapters.sql.partitions import SqlUpkeep
from policy_service.adapters.sql.policies import SqlPolicies
from policy_service.adapters.sql.privacy import SqlPersonalData
from policy_service.adapters.sql.reports import UsageReports
from policy_service.adapters.sql.self_service import SqlOwnFigures
from policy_service.adapters.sql.thresholds import SqlAlerts
from policy_service.adapters.webhook import Webhook
from policy_service.audit_wiring import open_audit
from policy_service.bundled import bundled
from policy_service.digests import Digests
from policy_service.ports.cache import ResponseCache
from policy_service.ports.clock import Clock
from policy_service.ports.limits import LimitsStore
from policy_service.ports.providers import Health
from policy_service.ports.tokens import Tokens
from policy_service.resources import Resources
from policy_service.services.administrators import Administrators
from policy_service.services.answer_cache import AnswerCache
from policy_service.services.approval_notices import ApprovalNotices
from policy_service.services.approvals import ApprovalDesk
from policy_service.services.changes import Changes
from policy_service.services.content_log import ContentLog
from policy_service.services.content_reader import ContentReader
from policy_service.services.decide import Decider
from policy_service.services.degraded import DegradableLimits
from policy_service.services.embedding import Embedder
from policy_service.services.erasure import Erasures
from policy_service.services.health import HealthChecks, each_deployment
from policy_service.services.keeper import Keeper
from policy_service.services.known_approvals import KnownApprovals
from policy_service.services.last_used import LastUsed
from policy_service.services.ledger_writer import LedgerWriter, Sweeper
from policy_service.services.moderation import Moderator
from policy_service.services.reach import Reach
from policy_service.services.relay import Relay
from policy_service.services.reserving import Reserving
from policy_service.services.retention import Retention
from policy_service.services.screening import Screening
from policy_service.services.self_service import SelfService
from policy_service.services.semantic_cache import SemanticCache
from policy_service.services.settle import Settler
from policy_service.services.thresholds import Thresholds
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
        tokens = await _tokens(stack, settings, clock)
        engine = open_engine(settings.database_url)
        stack.push_async_callback(engine.dispose)
        ledger = SqlLedger(engine)
        degradable = _degradable(settings, ledger, clock)
        limits: LimitsStore = degradable or MemoryLimitsStore()
        stack.push_async_callback(limits.close)
        if degradable is not None:
            await _in_background(stack, degradable.run())
        auditing = await open_audit(stack, settings, engine, clock)
        changes = await _changes(stack, settings, engine)
        policy, policies = await _policy(stack, settings, engine, changes, clock)
        providers = HttpProviders(settings.idle_timeout_s)
        stack.push_async_callback(providers.close)
        credentials = ProviderCredentials(settings.credential, clock)
        stack.push_async_callback(credentials.close)
        health = await _health(stack, settings, catalogue, clock)
        ledger = SqlLedger(engine)
        tickets = Tickets(settings.ticket_secret.get_secret_value())
        reserving = Reserving(limits, ledger)
        alerts = SqlAlerts(engine)
        webhook = _webhook(stack, settings)
        thresholds = Thresholds(limits, ledger, alerts, clock, settings.budget_thresholds, webhook)
        desk = ApprovalDesk(
            SqlApprovals(engine, clock),
            catalogue,
            clock,
            timedelta(days=settings.approval_ask_days),
            changes.announce,
        )
        digests = Digests.from_secret(settings.digest_secret)
        settler = Settler(limits, reserving, clock, health, thresholds=thresholds, digests=digests)
        content = await _content(stack, settings, engine, digests)
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
            content=content,
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
            about=SelfService(SqlOwnFigures(engine), reserving, settings.budget_thresholds),
            recorder=auditing.recorder,
            content=content,
            approvals=await _approvals(stack, settings, desk, changes, webhook),
            desk=desk,
            networks=PolicyNetworks(lambda: policy.bundle),
        )
        screening = _screening(stack, settings, decider, relay)
        relay = replace(relay, screening=screening)
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
        upkeep = Retention(
            SqlUpkeep(engine),
            clock,
            settings.usage_kept_months,
            content.store,
            settings.content_kept_days,
        )
        await _in_background(stack, upkeep.run())
        await _in_background(stack, thresholds.run())
        keeper = Keeper(settler, ledger)
        stack.push_async_callback(keeper.finish)
        await _in_background(stack, keeper.run())
        stack.push_async_callback(relay.drain)
        keys = ApiKeys(engine, clock)
        last_used = LastUsed(keys, clock)
        stack.push_async_callback(last_used.finish)
        await _in_background(stack, last_used.run())
        admin_tokens = SqlAdminTokens(engine, clock)
        root = settings.admin_token
        yield Resources(
            settings=settings,
            clock=clock,
            catalogue=catalogue,
            health=health,
            tokens=tokens,
            callers=SqlCallers(engine, clock),
            keys=keys,
            last_used=last_used,
            changes=changes,
            ledger=ledger,
            reports=UsageReports(engine),
            limits=limits,
            degradable=degradable,
            alerts=alerts,
            approvals=desk.store,
            approval_desk=desk,
            policy=policy,
            policies=policies,
            decider=decider,
            settler=settler,
            relay=relay,
            admin_tokens=admin_tokens,
            administration=Organisation(engine, clock),
            companies=CompanyStore(engine, clock),
            audit=AuditLog(engine),
            auditing=auditing,
            content=ContentReader(content.store, content.sealer, clock),
            erasures=Erasures(SqlPersonalData(engine)),
            administrators=Administrators(
                None if root is None else root.get_secret_value(),
                admin_tokens,
                SqlGrants(engine, clock),
                clock,
                tokens=tokens,
                heeds_claimed_roles=settings.oidc_admin_roles,
            ),
        )


async def _content(
    stack: AsyncExitStack, settings: Settings, engine: AsyncEngine, digests: Digests
) -> ContentLog:
    """The content log, written in the background."""
    content = ContentLog(
        SqlContentLog(engine),
        content_keys(settings.content_keys, settings.credential),
        redactor=None,
        digests=digests,
        most_part_bytes=settings.content_part_bytes,
        most_waiting_bytes=settings.content_waiting_bytes,
        most_days=settings.content_kept_days,
    )
    stack.push_async_callback(content.finish)
    await _in_background(stack, content.run())
    return content


async def _changes(stack: AsyncExitStack, settings: Settings, engine: AsyncEngine) -> Changes:
    """What was changed, followed in the background."""
    wakes = None
    if settings.redis_url:
        wakes = RedisWakes(settings.redis_url)
        stack.push_async_callback(wakes.close)
    changes = Changes(SqlChangeLog(engine), wakes)
    await _in_background(stack, changes.run())
    return changes


def _degradable(settings: Settings, ledger: SqlLedger, clock: Clock) -> DegradableLimits | None:
    """Limits shared by all processes; without Redis there is only this one."""
    if settings.redis_url is None:
        return None
    shared = RedisLimitsStore(settings.redis_url)
    return DegradableLimits(shared, MemoryLimitsStore, ledger, clock)


async def _approvals(
    stack: AsyncExitStack,
    settings: Settings,
    desk: ApprovalDesk,
    changes: Changes,
    webhook: Webhook | None,
) -> KnownApprovals:
    """What holds now, kept up to date in the background; people are told from there as well."""
    known = KnownApprovals(desk.store, changes)
    with suppress(PolicyUnavailable):  # what is not known does not hold
        await changes.look()  # what changes from here on is heard of
        await known.read()
    await _in_background(stack, known.run())
    notices = ApprovalNotices(
        desk.store,
        desk.clock,
        timedelta(hours=settings.approval_remind_h),
        timedelta(hours=settings.approval_ending_h),
        changes.announce,
        webhook,
    )
    await _in_background(stack, notices.run())
    return known


def _webhook(stack: AsyncExitStack, settings: Settings) -> Webhook | None:
    if settings.alert_webhook_url is None:
        return None
    webhook = Webhook(settings.alert_webhook_url.get_secret_value())
    stack.push_async_callback(webhook.close)
    return webhook


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


async def _tokens(stack: AsyncExitStack, settings: Settings, clock: Clock) -> Tokens | None:
    """The trusted issuers' tokens, their keys kept fresh in the background."""
    if settings.oidc_file is None:
        return None
    tokens = OidcTokens(read_issuers(settings.oidc_file), clock)
    stack.push_async_callback(tokens.close)
    await _in_background(stack, tokens.run())
    return tokens


def _screening(
    stack: AsyncExitStack, settings: Settings, decider: Decider, relay: Relay
) -> Screening:
    """Looking at words, where policy obliges it; moderation models are asked past the guard."""
    pool = ScreeningPool(
        content_in(settings.rego_dir or bundled("rego")),
        workers=settings.screening_workers,
        timeout_s=settings.screening_timeout_s,
    )
    stack.push_async_callback(pool.close)
    inner = replace(relay, screening=Screening(pool, is_moderating=True))
    stack.push_async_callback(inner.drain)
    return Screening(pool, Moderator(decider, inner, LazyCounter()))


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


async def _policy(
    stack: AsyncExitStack,
    settings: Settings,
    engine: AsyncEngine,
    changes: Changes,
    clock: Clock,
) -> tuple[LivePolicy, Desk]:
    """The live policy, and the shadow beside it, followed in the background; who may change it."""
    trusted = read_trusted_keys(settings.bundle_keys)
    store = SqlPolicies(engine, clock)
    engines = Engines(
        opa_url=settings.opa_url,
        opa_timeout_s=settings.opa_timeout_s,
        pushes=settings.opa_push,
        has_spare=settings.fallback == "embedded",
    )
    shadow = Shadow(store, clock)
    folder = WatchedFolder(settings.rego_dir or bundled("rego"))
    policy = LivePolicy(engines, folder, store, trusted, shadow)
    stack.push_async_callback(policy.close)
    await policy.start()
    await _in_background(stack, shadow.run())
    await _in_background(stack, policy.run(changes))
    return policy, Desk(store, trusted, clock)


async def _in_background(stack: AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)

    async def stop() -> None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    stack.push_async_callback(stop)
