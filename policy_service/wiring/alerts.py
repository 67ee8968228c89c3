"""Who looks for incidents, and who tells of them, in one process of the policy service."""

import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.alerts.incident import IncidentKind
from llm_core.alerts.routing import ChannelRule, Routes
from llm_core.alerts.rules import AlertRules
from llm_core.audit.event import Checkpoint
from llm_core.audit.verify import IsGenuine
from llm_core.catalogue import Catalogue
from policy_service.adapters.alerts_file import AlertsConfig, read_alerts
from policy_service.adapters.channels import Poster, WebhookChannel
from policy_service.adapters.ed25519 import Ed25519PublicKeys, read_signer
from policy_service.adapters.sql.audit_chain import SqlAuditChain
from policy_service.adapters.sql.incidents import SqlIncidents
from policy_service.adapters.sql.journals import SqlJournals
from policy_service.adapters.sql.outbox import SqlOutbox
from policy_service.adapters.sql.watched import SqlWatched
from policy_service.ports.alerts import Alerts
from policy_service.ports.clock import Clock
from policy_service.ports.ledger import Ledger
from policy_service.ports.limits import LimitsStore
from policy_service.ports.providers import Health
from policy_service.services.alerting.audit_chain import AuditChainWatcher, is_genuine_for
from policy_service.services.alerting.backlog import BacklogWatcher
from policy_service.services.alerting.budgets import BudgetTeller, BudgetWatcher
from policy_service.services.alerting.degraded import DegradedSighting, DegradedWatcher
from policy_service.services.alerting.deliverer import Deliverer
from policy_service.services.alerting.desk import AlertDesk
from policy_service.services.alerting.error_rate import ErrorRateWatcher
from policy_service.services.alerting.journals import JournalSightings, JournalWatcher
from policy_service.services.alerting.provider_down import ProviderDownWatcher
from policy_service.services.alerting.spend_anomaly import SpendAnomalyWatcher
from policy_service.services.alerting.unpriced import UnpricedWatcher
from policy_service.services.alerting.watch import Watch, Watcher
from policy_service.services.degraded import DegradableLimits
from policy_service.settings import Settings
from policy_service.wiring.background import in_background

_SETTINGS_CHANNEL = "webhook"


@dataclass(frozen=True, slots=True)
class Looked:
    """What watchers look at."""

    catalogue: Catalogue
    health: Health
    limits: LimitsStore
    degradable: DegradableLimits | None
    ledger: Ledger
    alerts: Alerts


@dataclass(frozen=True, slots=True)
class Alerting:
    """What was opened.

    Args:
        teller: For limits that pass a threshold; `None` where nobody wants to know.
        journals: Hears how the plugins' journals stand.
    """

    desk: AlertDesk
    rules: AlertRules
    owner: str
    teller: BudgetTeller | None
    journals: JournalSightings


async def open_alerting(
    stack: AsyncExitStack, settings: Settings, engine: AsyncEngine, clock: Clock
) -> Alerting:
    """Start the delivery; the stack ends it.

    Raises:
        ValueError: The alerts' file is at fault; the message says why.
    """
    config = _config(settings)
    for channel in config.channels:
        stack.push_async_callback(channel.close)
    desk = AlertDesk(
        SqlIncidents(engine),
        SqlOutbox(engine),
        {channel.name: channel for channel in config.channels},
        config.routes,
        clock,
    )
    owner = secrets.token_hex(8)
    for name, channel in desk.channels.items():
        # One for each, so that a slow one holds up no other.
        deliverer = Deliverer(desk.outbox, {name: channel}, desk.routes, clock, owner)
        stack.push_async_callback(deliverer.finish)
        await in_background(stack, deliverer.run())
    is_off = IncidentKind.BUDGET in config.rules.off
    teller = None if is_off else BudgetTeller(desk.incidents, desk.routes)
    journals = JournalSightings(SqlJournals(engine), clock)
    await in_background(stack, journals.run())
    return Alerting(desk, config.rules, owner, teller, journals)


async def look_out(
    stack: AsyncExitStack,
    settings: Settings,
    engine: AsyncEngine,
    alerting: Alerting,
    looked: Looked,
) -> None:
    """Start the watchers; the stack ends them."""
    desk, rules = alerting.desk, alerting.rules
    chain = SqlAuditChain(engine, desk.clock)
    watched = SqlWatched(engine)
    watchers: list[Watcher] = [
        BudgetWatcher(looked.alerts, looked.ledger),
        SpendAnomalyWatcher(watched, rules.spend_anomaly),
        ProviderDownWatcher(looked.catalogue, looked.health, rules.provider_down_after),
        ErrorRateWatcher(watched, rules.error_rate),
        DegradedWatcher(looked.alerts, looked.ledger),
        UnpricedWatcher(watched, rules.unpriced_window),
        AuditChainWatcher(chain, rules.audit_chain, _is_genuine(settings)),
        BacklogWatcher(looked.limits, rules.backlog),
        JournalWatcher(SqlJournals(engine), rules.journal_growing),
    ]
    wanted = [one for one in watchers if one.kind not in rules.off]
    watch = Watch(
        wanted, desk.incidents, chain, desk.clock, desk.routes, rules, f"watch-{alerting.owner}"
    )
    stack.push_async_callback(watch.finish)
    await in_background(stack, watch.run())
    if looked.degradable is not None and IncidentKind.DEGRADED not in rules.off:
        sighting = DegradedSighting(
            looked.degradable,
            looked.alerts,
            looked.ledger,
            desk.incidents,
            desk.clock,
            desk.routes,
            rules,
        )
        await in_background(stack, sighting.run())


def _config(settings: Settings) -> AlertsConfig:
    """The file's, and the one channel that the settings name by themselves."""
    config = AlertsConfig(AlertRules(), Routes(), ())
    if settings.alerts_file is not None:
        config = read_alerts(settings.alerts_file, settings.credential)
    if settings.alert_webhook_url is None:
        return config
    if any(channel.name == _SETTINGS_CHANNEL for channel in config.channels):
        raise ValueError(
            f"POLICY_ALERT_WEBHOOK_URL is the channel {_SETTINGS_CHANNEL!r}: call the one in "
            "POLICY_ALERTS_FILE something else"
        )
    poster = Poster(settings.alert_webhook_url.get_secret_value(), webhook_secret(settings))
    channel = WebhookChannel(_SETTINGS_CHANNEL, poster)
    routes = Routes((*config.routes.channels, ChannelRule(_SETTINGS_CHANNEL)))
    return AlertsConfig(config.rules, routes, (*config.channels, channel))


def webhook_secret(settings: Settings) -> str | None:
    """What the settings' webhook is signed with."""
    secret = settings.alert_webhook_secret
    return None if secret is None else secret.get_secret_value()


def _is_genuine(settings: Settings) -> IsGenuine | None:
    if settings.audit_key_file is None:
        return None
    signer = read_signer(settings.audit_key_file)
    keys = Ed25519PublicKeys([signer.public_pem])

    def is_genuine(one: Checkpoint) -> bool:
        return keys.is_genuine(one.key_id, one.signed_bytes, one.signature)

    return is_genuine_for(signer.key_id, is_genuine)
