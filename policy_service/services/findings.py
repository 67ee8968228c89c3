"""What screening found, on its way into the audit chain."""

from collections.abc import Mapping
from dataclasses import dataclass

from llm_core.policy.decision import Reservation
from policy_service.services.decision_recorder import DecisionRecorder


@dataclass(frozen=True, slots=True)
class RecordedFindings:
    """Implements `FindingsLog`: an event `screening` with kinds and counts."""

    recorder: DecisionRecorder

    def note(self, reservation: Reservation, findings: Mapping[str, int]) -> None:
        """Take it in; see the port."""
        self.recorder.note_event(
            "screening",
            reservation.caller.organisation,
            {"decision_id": reservation.decision_id, "findings": dict(sorted(findings.items()))},
            subject=f"decision:{reservation.decision_id}",
            at=reservation.decided_at,
        )
