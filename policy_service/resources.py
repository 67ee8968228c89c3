"""What one process of the policy service holds open, as its handlers see it."""

from dataclasses import dataclass

from llm_core.catalogue import Catalogue
from policy_service.ports.administrators import AdminTokens
from policy_service.ports.alerts import Alerts
from policy_service.ports.approvals import Approvals
from policy_service.ports.breakers import BreakerLog
from policy_service.ports.callers import Callers
from policy_service.ports.clock import Clock
from policy_service.ports.costs import Costs, Refusals, Reliable
from policy_service.ports.idempotency import Idempotency
from policy_service.ports.keys import Keys
from policy_service.ports.ledger import Ledger, Prices
from policy_service.ports.limits import LimitsStore
from policy_service.ports.observing import Page
from policy_service.ports.organisation import Administration, Audit, Companies
from policy_service.ports.policies import PolicyDesk
from policy_service.ports.policy import LiveEngine
from policy_service.ports.providers import Health
from policy_service.ports.reports import Reports
from policy_service.ports.team_usage import TeamUsage
from policy_service.ports.tokens import Tokens
from policy_service.services.administrators import Administrators
from policy_service.services.alerting.desk import AlertDesk
from policy_service.services.alerting.journals import JournalSightings
from policy_service.services.approvals import ApprovalDesk
from policy_service.services.auditing import Auditing
from policy_service.services.changes import Changes
from policy_service.services.chargeback import ChargebackDesk
from policy_service.services.content_reader import ContentReader
from policy_service.services.decide import Decider
from policy_service.services.degraded import DegradableLimits
from policy_service.services.erasure import Erasures
from policy_service.services.failed_keys import FailedKeys
from policy_service.services.last_used import LastUsed
from policy_service.services.relay import Relay
from policy_service.services.report_sender import ReportSender
from policy_service.services.settle import Settler
from policy_service.settings import Settings


@dataclass(frozen=True, slots=True)
class Resources:
    """Typed state of the app; handlers fetch it, nothing else holds it."""

    settings: Settings
    clock: Clock
    catalogue: Catalogue
    prices: Prices
    health: Health
    breaker_log: BreakerLog
    callers: Callers
    keys: Keys
    last_used: LastUsed
    failed_keys: FailedKeys
    changes: Changes
    tokens: Tokens | None
    ledger: Ledger
    reports: Reports
    team_usage: TeamUsage
    costs: Costs
    reliable: Reliable
    refusals: Refusals
    limits: LimitsStore
    degradable: DegradableLimits | None
    alerts: Alerts
    alerting: AlertDesk
    journals: JournalSightings
    policy: LiveEngine
    policies: PolicyDesk
    approvals: Approvals
    approval_desk: ApprovalDesk
    decider: Decider
    settler: Settler
    relay: Relay
    administrators: Administrators
    admin_tokens: AdminTokens
    administration: Administration
    companies: Companies
    audit: Audit
    idempotency: Idempotency
    auditing: Auditing
    content: ContentReader
    erasures: Erasures
    chargebacks: ChargebackDesk
    reporting: ReportSender
    metrics: Page | None
