"""What a call leaves behind of its words where the words themselves are not kept.

The plain digests of question and answer travel in flight only: the relay holds the body to the one
that was decided on, and the response cache finds answers by it. Whoever holds one can try likely
texts until one fits, so nothing that stays has it.
"""

from dataclasses import dataclass

from llm_core.policy.decision import LogLevel, Reservation, UsageReport
from policy_service.digests import Digests


@dataclass(frozen=True, slots=True)
class Traces:
    """Keyed digests and sizes; all `None` at the log level `none`.

    Args:
        request_digest: Of the question's SHA-256 (`Call.body_digest`).
        response_digest: Of the answer's; of a stream, of its events as the client was sent them.
    """

    request_digest: str | None = None
    response_digest: str | None = None
    request_bytes: int | None = None
    response_bytes: int | None = None


def traces_of(digests: Digests | None, reservation: Reservation, report: UsageReport) -> Traces:
    """What may be kept of a call at its log level.

    Args:
        digests: `None`: sizes only.
        reservation: Knows the question and the level.
        report: Knows the answer.
    """
    if reservation.obligations.log_level is LogLevel.NONE:
        return Traces()
    organisation = reservation.caller.organisation

    def keyed(plain: str | None) -> str | None:
        return digests.of(organisation, plain.encode()) if digests and plain else None

    return Traces(
        keyed(reservation.call.body_digest),
        keyed(report.response_digest),
        reservation.call.body_bytes,
        report.response_bytes,
    )
