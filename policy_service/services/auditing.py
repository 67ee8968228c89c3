"""The audit chain as handlers and other services see it."""

from dataclasses import dataclass

from policy_service.digests import Digests
from policy_service.ports.audit import AuditChain
from policy_service.services.decision_recorder import DecisionRecorder


@dataclass(frozen=True, slots=True)
class Auditing:
    """What takes note of events, and the chains that they come to.

    Args:
        is_sealed: Whether checkpoints are signed.
    """

    recorder: DecisionRecorder
    chain: AuditChain
    digests: Digests
    is_sealed: bool
