"""Opening and closing what one process of the policy service needs; names the adapters."""

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from llm_core.tokens.counted import LazyCounter
from policy_service.adapters.catalogue_file import read_catalogue
from policy_service.adapters.credentials import ProviderCredentials
from policy_service.adapters.http_providers import HttpProviders
from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.adapters.policy_networks import PolicyNetworks
from policy_service.adapters.price_list import PriceList, price_files
from policy_service.adapters.sql.admin_tokens import SqlAdminTokens
from policy_service.adapters.sql.approvals import SqlApprovals
from policy_service.adapters.sql.audit import AuditLog
from policy_service.adapters.sql.callers import SqlCallers
from policy_service.adapters.sql.chargeback import SqlChargebacks
from policy_service.adapters.sql.company import CompanyStore
from policy_service.adapters.sql.costs import SqlCosts, SqlReliability
from policy_service.adapters.sql.engine import open_engine
from policy_service.adapters.sql.grants import SqlGrants
from policy_service.adapters.sql.idempotency import SqlIdempotency
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.adapters.sql.organisation import Organisation
from policy_service.adapters.sql.partitions import SqlUpkeep
from policy_service.adapters.sql.privacy import SqlPersonalData
from policy_service.adapters.sql.reports import UsageReports
from policy_service.adapters.sql.self_service import SqlOwnFigures
from policy_service.adapters.sql.team_usage import SqlTeamUsage
from policy_service.adapters.sql.thresholds import SqlAlerts
from policy_service.bundled import bundled
from policy_service.digests import Digests
from policy_service.ports.clock import Clock
from policy_service.ports.limits import LimitsStore
from policy_service.resources import Resources
from policy_service.services.administrators import Administrators
from policy_service.services.answer_cache import AnswerCache
from policy_service.services.approvals import ApprovalDesk
from policy_service.services.chargeback import ChargebackDesk
from policy_service.services.content_reader import ContentReader
from policy_service.services.decide import Decider
from policy_service.services.erasure import Erasures
from policy_service.services.failed_keys import FailedKeys
from policy_service.services.findings import RecordedFindings
from policy_service.services.reach import Reach
from policy_service.services.relay import Relay
from policy_service.services.reserving import Reserving
from policy_service.services.self_service import SelfService
from policy_service.services.settle import Settler
from policy_service.services.thresholds import Thresholds
from policy_service.services.tickets import Tickets
from policy_service.settings import Settings
from policy_service.wiring.alerts import Looked, look_out, open_alerting
from policy_service.wiring.approvals import open_approvals
from policy_service.wiring.audit import open_audit
from policy_service.wiring.background import in_background
from policy_service.wiring.books import keep_books
from policy_service.wiring.breakers import open_breaker_history
from policy_service.wiring.caches import open_cache, open_semantic_cache
from policy_service.wiring.costs import open_refusals
from policy_service.wiring.keys import open_keys
from policy_service.wiring.neighbours import (
    degradable_limits,
    open_changes,
    open_health,
    open_tokens,
    open_webhook,
)
from policy_service.wiring.policy import open_policy
from policy_service.wiring.reports import open_reports
from policy_service.wiring.watching import open_watching
from policy_service.wiring.words import open_words, screening_of


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
        watching = open_watching(stack, settings, catalogue)
        tokens = await open_tokens(stack, settings, clock)
        engine = open_engine(settings.database_url)
        stack.push_async_callback(engine.dispose)
        ledger = SqlLedger(engine)
        degradable = degradable_limits(settings, ledger, clock)
        limits: LimitsStore = degradable or MemoryLimitsStore()
        stack.push_async_callback(limits.close)
        if degradable is not None:
            await in_background(stack, degradable.run())
        auditing = await open_audit(stack, settings, engine, clock)
        changes = await open_changes(stack, settings, engine)
        policy, policies = await open_policy(stack, settings, engine, changes, clock)
        providers = HttpProviders(settings.idle_timeout_s)
        stack.push_async_callback(providers.close)
        credentials = ProviderCredentials(settings.credential, clock)
        stack.push_async_callback(credentials.close)
        breakers = await open_breaker_history(stack, settings, engine, catalogue, clock)
        health = await open_health(stack, settings, catalogue, clock, breakers.note)
        tickets = Tickets(settings.ticket_secret.get_secret_value())
        reserving = Reserving(limits, ledger)
        alerts = SqlAlerts(engine)
        webhook = open_webhook(stack, settings)
        alerting = await open_alerting(stack, settings, engine, clock)
        thresholds = Thresholds(
            limits, ledger, alerts, clock, settings.budget_thresholds, alerting.teller
        )
        desk = ApprovalDesk(
            SqlApprovals(engine, clock),
            catalogue,
            clock,
            timedelta(days=settings.approval_ask_days),
            changes.announce,
        )
        digests = Digests.from_secret(settings.digest_secret)
        settler = Settler(
            limits,
            reserving,
            clock,
            health,
            thresholds=thresholds,
            digests=digests,
            watch=watching.watch,
        )
        screener, content = await open_words(
            stack, settings, engine, digests, lambda: policy.bundle
        )
        relay = Relay(
            limits=limits,
            reach=Reach(
                providers,
                credentials,
                health,
                clock,
                settings.first_byte_timeout_s,
                settings.total_timeout_s,
                watching.watch.tracing,
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
            policy=watching.engine(policy),
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
            approvals=await open_approvals(stack, settings, desk, changes, webhook),
            desk=desk,
            networks=PolicyNetworks(lambda: policy.bundle),
            watch=watching.watch,
        )
        findings = watching.findings(RecordedFindings(auditing.recorder))
        screening = screening_of(stack, watching.screener(screener), findings, decider, relay)
        relay = replace(relay, screening=screening)
        answers = AnswerCache(
            open_cache(stack, settings),
            settler,
            settings.cache_max_answer_bytes,
            # A waiter's reservation must outlive its waiting.
            min(settings.cache_wait_s, settings.lease_s / 3),
            await open_semantic_cache(stack, settings, decider, relay),
        )
        decider, relay = replace(decider, answers=answers), replace(relay, answers=answers)
        await keep_books(
            stack, settings, settler, ledger, upkeep=SqlUpkeep(engine), content=content.store
        )
        await in_background(stack, thresholds.run())
        looked = Looked(catalogue, health, limits, degradable, ledger, alerts)
        await look_out(stack, settings, engine, alerting, looked)
        stack.push_async_callback(relay.drain)
        keys, last_used = await open_keys(stack, engine, clock)
        admin_tokens = SqlAdminTokens(engine, clock)
        chargebacks = SqlChargebacks(engine, clock)
        root = settings.admin_token
        yield Resources(
            settings=settings,
            clock=clock,
            catalogue=catalogue,
            prices=decider.prices,
            health=health,
            breaker_log=breakers.log,
            tokens=tokens,
            callers=SqlCallers(engine, clock),
            keys=keys,
            last_used=last_used,
            failed_keys=FailedKeys(settings.failed_keys_per_minute, clock, watching.watch.observer),
            changes=changes,
            ledger=ledger,
            reports=UsageReports(engine),
            team_usage=SqlTeamUsage(engine),
            costs=SqlCosts(engine),
            reliable=SqlReliability(engine),
            refusals=open_refusals(engine, lambda: policy.bundle),
            limits=limits,
            degradable=degradable,
            alerts=alerts,
            alerting=alerting.desk,
            journals=alerting.journals,
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
            idempotency=SqlIdempotency(engine),
            auditing=auditing,
            content=ContentReader(content.store, content.sealer, clock),
            chargebacks=ChargebackDesk(chargebacks, clock),
            reporting=await open_reports(stack, settings, engine, chargebacks, clock),
            erasures=Erasures(SqlPersonalData(engine), auditing.chain),
            metrics=await watching.page(
                stack,
                health=health,
                ledger=ledger,
                limits=limits,
                policy=policy,
                recorder=auditing.recorder,
                chain=auditing.chain,
                clock=clock,
                is_degraded=lambda: degradable is not None and degradable.is_away,
            ),
            administrators=Administrators(
                None if root is None else root.get_secret_value(),
                admin_tokens,
                SqlGrants(engine, clock),
                clock,
                tokens=tokens,
                heeds_claimed_roles=settings.oidc_admin_roles,
            ),
        )
