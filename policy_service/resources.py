"""What one process of the policy service holds open, as its handlers see it."""

from dataclasses import dataclass

from llm_core.catalogue import Catalogue
from policy_service.ports import Callers, Health, Ledger, LimitsStore, PolicyEngine, Reports
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
