"""Opening and closing what the audit chain needs in one process of the policy service."""

import secrets
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import AsyncEngine

from policy_service.adapters.ed25519 import read_signer
from policy_service.adapters.memory_spool import MemorySpool
from policy_service.adapters.sinks import open_sink
from policy_service.adapters.sql.audit_chain import SqlAuditChain
from policy_service.adapters.sql.decision_log import SqlDecisionLog
from policy_service.digests import Digests
from policy_service.ports.clock import Clock
from policy_service.services.auditing import Auditing
from policy_service.services.chain_writer import ChainWriter
from policy_service.services.checkpoints import Checkpoints
from policy_service.services.decision_recorder import DecisionRecorder
from policy_service.services.decision_retention import DecisionRetention
from policy_service.services.shipping import Shipper
from policy_service.settings import Settings
from policy_service.wiring.background import in_background

if TYPE_CHECKING:
    from policy_service.adapters.redis_spool import RedisSpool


async def open_audit(
    stack: AsyncExitStack, settings: Settings, engine: AsyncEngine, clock: Clock
) -> Auditing:
    """Start the work in the background; the stack ends it, writes what is left, and seals it.

    Raises:
        ValueError: A key's file or a sink's address is at fault.
    """
    signer = None if settings.audit_key_file is None else read_signer(settings.audit_key_file)
    digests = Digests.from_secret(settings.digest_secret)
    chain = SqlAuditChain(engine, clock)
    memory = MemorySpool()
    shared = _shared_spool(stack, settings)
    owner = secrets.token_hex(8)
    recorder = DecisionRecorder(memory, shared, digests, clock)
    checkpoints = Checkpoints(
        chain, signer, clock, settings.audit_checkpoint_events, settings.audit_checkpoint_s
    )
    writer = ChainWriter(chain, memory, shared, recorder, clock, owner)
    # What is pushed first happens last: the writer writes the rest, then it is sealed.
    stack.push_async_callback(checkpoints.finish)
    stack.push_async_callback(writer.finish)
    work = [writer.run(), recorder.run(), checkpoints.run()]
    work.append(
        DecisionRetention(SqlDecisionLog(engine), clock, settings.decisions_kept_days).run()
    )
    for address in settings.audit_ship:
        sink = open_sink(address, _secret(settings))
        stack.push_async_callback(sink.close)
        work.append(Shipper(chain, chain, sink, clock, owner).run())
    for one in work:
        await in_background(stack, one)
    return Auditing(recorder, chain, digests, is_sealed=signer is not None)


def _shared_spool(stack: AsyncExitStack, settings: Settings) -> "RedisSpool | None":
    if not settings.redis_url:
        return None
    from policy_service.adapters.redis_spool import RedisSpool  # noqa: PLC0415 - only with Redis

    spool = RedisSpool(settings.redis_url)
    stack.push_async_callback(spool.close)
    return spool


def _secret(settings: Settings) -> str | None:
    secret = settings.audit_webhook_secret
    return None if secret is None else secret.get_secret_value()
