"""The live policy, its shadow, and who may change it."""

from contextlib import AsyncExitStack

from sqlalchemy.ext.asyncio import AsyncEngine

from policy_service.adapters.policies.desk import Desk
from policy_service.adapters.policies.engines import Engines
from policy_service.adapters.policies.folder import WatchedFolder
from policy_service.adapters.policies.live import LivePolicy
from policy_service.adapters.policies.shadow import Shadow
from policy_service.adapters.policies.signing import read_trusted_keys
from policy_service.adapters.sql.policies import SqlPolicies
from policy_service.bundled import bundled
from policy_service.ports.clock import Clock
from policy_service.services.changes import Changes
from policy_service.settings import Settings
from policy_service.wiring.background import in_background


async def open_policy(
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
        embedded=settings.embedded_engine,
    )
    shadow = Shadow(store, clock)
    folder = WatchedFolder(settings.rego_dir or bundled("rego"))
    policy = LivePolicy(engines, folder, store, trusted, shadow)
    stack.push_async_callback(policy.close)
    await policy.start()
    await in_background(stack, shadow.run())
    await in_background(stack, policy.run(changes))
    return policy, Desk(store, trusted, clock)
