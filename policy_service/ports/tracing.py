"""Following a call from the plugin's question to the provider's answer. Never its content."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from llm_core.policy.decision import DecisionRequest, PricedDeployment, Reservation
from llm_core.tokens.usage import TokenUsage
from policy_service.ports.ledger import UsageRow


class Span(Protocol):
    """One piece of work. Nothing here waits, and nothing raises."""

    def note(self, facts: Mapping[str, str | int]) -> None:
        """Facts of it: ids, names, numbers; one without a value is left out."""
        ...


class CallSpan(Protocol):
    """One question to a provider; ends once."""

    def headers(self) -> Mapping[str, str]:
        """What tells the provider of the trace."""
        ...

    def answered(self, usage: TokenUsage, served_model: str | None, failure: str = "") -> None:
        """It answered, to the end or until `failure`."""
        ...

    def failed(self, kind: str) -> None:
        """It did not answer; `kind` is a word, never a provider's sentence."""
        ...


class Tracing(Protocol):
    """Starts spans. Where nobody traces, that costs nothing."""

    def deciding(self, decision_id: str, request: DecisionRequest) -> AbstractContextManager[Span]:
        """A decision, and what is started within it."""
        ...

    def following(self, decision_id: str) -> AbstractContextManager[None]:
        """What is started within belongs to a decision that was made before, maybe elsewhere."""
        ...

    def calling(self, reservation: Reservation, priced: PricedDeployment) -> CallSpan:
        """A deployment is asked from here."""
        ...

    def called(self, row: UsageRow) -> None:
        """Kong has asked a deployment, and this is what is known of it."""
        ...


class Untraced:
    """Nobody traces: every port in one, doing nothing."""

    def note(self, facts: Mapping[str, str | int]) -> None:
        """See `Span`."""

    def headers(self) -> Mapping[str, str]:
        """See `CallSpan`."""
        return {}

    def answered(self, usage: TokenUsage, served_model: str | None, failure: str = "") -> None:
        """See `CallSpan`."""

    def failed(self, kind: str) -> None:
        """See `CallSpan`."""

    @contextmanager
    def deciding(self, decision_id: str, request: DecisionRequest) -> Iterator[Span]:
        """See `Tracing`."""
        yield self

    @contextmanager
    def following(self, decision_id: str) -> Iterator[None]:
        """See `Tracing`."""
        yield

    def calling(self, reservation: Reservation, priced: PricedDeployment) -> CallSpan:
        """See `Tracing`."""
        return self

    def called(self, row: UsageRow) -> None:
        """See `Tracing`."""


UNTRACED = Untraced()
