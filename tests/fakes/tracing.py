"""Tracing that remembers what became of each call to a provider."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from llm_core.policy.decision import DecisionRequest, PricedDeployment, Reservation
from llm_core.tokens.usage import TokenUsage
from policy_service.ports.ledger import UsageRow


@dataclass
class FakeCallSpan:
    """Implements `CallSpan`.

    Args:
        ends: What it was ended with: `answered`, or a failure's word.
    """

    deployment_id: str
    ends: list[str] = field(default_factory=list)
    usage: TokenUsage | None = None

    def headers(self) -> Mapping[str, str]:
        """A header that names the deployment."""
        return {"traceparent": f"00-{self.deployment_id}"}

    def answered(self, usage: TokenUsage, served_model: str | None, failure: str = "") -> None:
        """Note it."""
        del served_model
        self.usage = usage
        self.ends.append(failure or "answered")

    def failed(self, kind: str) -> None:
        """Note it."""
        self.ends.append(kind)


@dataclass
class FakeTracing:
    """Implements `Tracing`."""

    calls: list[FakeCallSpan] = field(default_factory=list)
    direct: list[UsageRow] = field(default_factory=list)

    def note(self, facts: Mapping[str, str | int]) -> None:
        """Of decisions nothing is kept."""

    @contextmanager
    def deciding(self, decision_id: str, request: DecisionRequest) -> Iterator["FakeTracing"]:
        """See above."""
        del decision_id, request
        yield self

    @contextmanager
    def following(self, decision_id: str) -> Iterator[None]:
        """See above."""
        del decision_id
        yield

    def calling(self, reservation: Reservation, priced: PricedDeployment) -> FakeCallSpan:
        """Begin one."""
        del reservation
        self.calls.append(FakeCallSpan(priced.deployment.id))
        return self.calls[-1]

    def called(self, row: UsageRow) -> None:
        """Note it."""
        self.direct.append(row)
