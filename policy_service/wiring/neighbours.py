"""What a process shares with others, or asks of them: changes, limits, health, issuers.

What is for Redis is loaded where there is one.
"""

from contextlib import AsyncExitStack

from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.catalogue import Catalogue
from policy_service.adapters.http_probe import HttpProbe
from policy_service.adapters.memory_health import MemoryHealth
from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.adapters.oidc import OidcTokens, read_issuers
from policy_service.adapters.sql.changes import SqlChangeLog
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.adapters.webhook import Webhook
from policy_service.ports.breakers import Told, told_to_nobody
from policy_service.ports.clock import Clock
from policy_service.ports.providers import Health
from policy_service.ports.tokens import Tokens
from policy_service.services.changes import Changes
from policy_service.services.degraded import DegradableLimits
from policy_service.services.health import HealthChecks, each_deployment
from policy_service.settings import Settings
from policy_service.wiring.alerts import webhook_secret
from policy_service.wiring.background import in_background


async def open_changes(stack: AsyncExitStack, settings: Settings, engine: AsyncEngine) -> Changes:
    """What was changed, followed in the background."""
    wakes = None
    if settings.redis_url:
        from policy_service.adapters.redis_changes import RedisWakes  # noqa: PLC0415

        wakes = RedisWakes(settings.redis_url)
        stack.push_async_callback(wakes.close)
    changes = Changes(SqlChangeLog(engine), wakes)
    await in_background(stack, changes.run())
    return changes


def degradable_limits(
    settings: Settings, ledger: SqlLedger, clock: Clock
) -> DegradableLimits | None:
    """Limits shared by all processes; without Redis there is only this one."""
    if settings.redis_url is None:
        return None
    from policy_service.adapters.redis_limits import RedisLimitsStore  # noqa: PLC0415

    shared = RedisLimitsStore(settings.redis_url)
    return DegradableLimits(shared, MemoryLimitsStore, ledger, clock)


def open_webhook(stack: AsyncExitStack, settings: Settings) -> Webhook | None:
    """Where requests for approval go, if anywhere."""
    if settings.alert_webhook_url is None:
        return None
    url = settings.alert_webhook_url.get_secret_value()
    webhook = Webhook(url, webhook_secret(settings))
    stack.push_async_callback(webhook.close)
    return webhook


async def open_health(
    stack: AsyncExitStack,
    settings: Settings,
    catalogue: Catalogue,
    clock: Clock,
    tell: Told = told_to_nobody,
) -> Health:
    """How deployments fare, kept up to date in the background; `tell` hears of breakers' steps."""
    rules, trial_s = settings.breaker_rules, settings.breaker_trial_s
    health: Health = MemoryHealth(rules, clock, trial_s, tell)
    if settings.redis_url:
        from policy_service.adapters.redis_health import RedisHealth  # noqa: PLC0415

        ids = [deployment.id for deployment in each_deployment(catalogue)]
        shared = RedisHealth(
            settings.redis_url, rules, clock, deployment_ids=ids, trial_s=trial_s, tell=tell
        )
        stack.push_async_callback(shared.close)
        await in_background(stack, shared.run())
        health = shared
    if any(deployment.is_probed for deployment in each_deployment(catalogue)):
        probe = HttpProbe(settings.credential)
        stack.push_async_callback(probe.close)
        checks = HealthChecks(catalogue, health, probe, settings.probe_interval_s)
        await in_background(stack, checks.run())
    return health


async def open_tokens(stack: AsyncExitStack, settings: Settings, clock: Clock) -> Tokens | None:
    """The trusted issuers' tokens, their keys kept fresh in the background."""
    if settings.oidc_file is None:
        return None
    tokens = OidcTokens(read_issuers(settings.oidc_file), clock)
    stack.push_async_callback(tokens.close)
    await in_background(stack, tokens.run())
    return tokens
