"""What is known of how a deployment fares."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class BreakerState(StrEnum):
    """Whether a deployment is asked at all."""

    CLOSED = "closed"
    """It is: it answers, or nothing else is known."""
    OPEN = "open"
    """It is not: it failed too often just now."""
    HALF_OPEN = "half_open"
    """It was open for long enough; one call at a time finds out."""


@dataclass(frozen=True, slots=True)
class DeploymentFacts:
    """How one deployment fares, as all processes together have seen it.

    Args:
        breaker: Whether it is asked.
        opens_until: While open: when it becomes half-open.
        time_to_first_token_ms: Moving average; `None` until somebody measured.
        tokens_per_s: Moving average of a stream's pace after its first token.
        samples: How many calls stand behind the averages.
    """

    breaker: BreakerState = BreakerState.CLOSED
    opens_until: datetime | None = None
    time_to_first_token_ms: float | None = None
    tokens_per_s: float | None = None
    samples: int = 0

    @property
    def is_healthy(self) -> bool:
        """Whether calls go there as a matter of course."""
        return self.breaker is BreakerState.CLOSED


UNKNOWN = DeploymentFacts()
"""A deployment that nobody has called yet."""


@dataclass(frozen=True, slots=True)
class Observation:
    """How one call to a deployment went.

    Args:
        is_failure: The deployment is to blame: no connection, no answer in time, 5xx, cut off. A
            request that was refused because it is wrong says nothing against it.
        retry_after_s: It asked to be left alone for so long (429, 503).
        time_to_first_token_ms: From sending to the first token, or to the whole answer's head.
        tokens_per_s: Streams only.
        error: The class of what went wrong, as the ledger has it; empty when nothing did.
    """

    deployment_id: str
    is_failure: bool
    retry_after_s: float | None = None
    time_to_first_token_ms: float | None = None
    tokens_per_s: float | None = None
    error: str = ""
