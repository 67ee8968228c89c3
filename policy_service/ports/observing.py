"""Being told what happens, to count it: numbers for those who run the service."""

from dataclasses import dataclass
from typing import Protocol

from llm_core.operation import Operation
from llm_core.policy.limits import Measure
from policy_service.ports.ledger import UsageRow

ALLOWED = "allowed"


@dataclass(frozen=True, slots=True)
class DecisionFacts:
    """What there is to count about a decision.

    Args:
        code: `allowed`, or the error's code.
        engine: Which policy engine answered; empty when it did not come to that.
        taken_s: From the request to the decision.
        policy_s: Of it, waiting for policy.
        exceeded: The measure of the limit that refused the call.
        is_degraded: One process decided about the limits alone.
    """

    operation: Operation
    code: str
    engine: str
    taken_s: float
    policy_s: float
    exceeded: Measure | None = None
    is_degraded: bool = False


class Observer(Protocol):
    """Is told of each thing once. Nothing here waits, and nothing raises."""

    def decided(self, facts: DecisionFacts) -> None:
        """A decision was made, or could not be had."""
        ...

    def booked(self, row: UsageRow) -> None:
        """A call's row was queued for the ledger; an estimate's true figure comes as a second."""
        ...

    def reported(self, outcome: str, *, is_brought_along: bool) -> None:
        """A plugin's report came.

        Args:
            outcome: What settling did.
            is_brought_along: It carries what was decided, as those from a journal do.
        """
        ...

    def not_identified(self, why: str) -> None:
        """Nobody is known by a credential.

        Args:
            why: A value of `ports.callers.Unknown`.
        """
        ...


class Unobserved:
    """Nobody counts."""

    def decided(self, facts: DecisionFacts) -> None:
        """See the port."""

    def booked(self, row: UsageRow) -> None:
        """See the port."""

    def reported(self, outcome: str, *, is_brought_along: bool) -> None:
        """See the port."""

    def not_identified(self, why: str) -> None:
        """See the port."""


UNOBSERVED = Unobserved()


class Page(Protocol):
    """What is scraped."""

    async def written(self) -> bytes:
        """All of it, in Prometheus's text format."""
        ...
