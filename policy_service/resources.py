"""What one process of the policy service holds open, as its handlers see it."""

from dataclasses import dataclass

from llm_core.catalogue import Catalogue
from policy_service.ports.ledger import Callers, Ledger
from policy_service.ports.limits import LimitsStore
from policy_service.ports.policy import PolicyEngine
from policy_service.ports.providers import Health
from policy_service.ports.reports import Reports
from policy_service.services.decide import Decider
from policy_service.services.relay import Relay
from policy_service.services.settle import Settler
from policy_service.settings import Settings


@dataclass(frozen=True, slots=True)
class Resources:
    """Typed state of the app; handlers fetch it, nothing else holds it."""

    settings: Settings
    catalogue: Catalogue
    health: Health
    callers: Callers
    ledger: Ledger
    reports: Reports
    limits: LimitsStore
    policy: PolicyEngine
    decider: Decider
    settler: Settler
    relay: Relay
