"""Model providers: reaching them, proving who pays, knowing how they fare."""

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from llm_core.apis.ask import Exchange
from llm_core.catalogue import Deployment
from llm_core.providers.translator import ProviderRequest
from llm_core.routing.facts import DeploymentFacts, Observation


class ProviderAnswer(Protocol):
    """A provider's answer whose head has arrived."""

    @property
    def status(self) -> int:
        """HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Lower-case names."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives.

        Raises:
            ProviderUnavailable: The connection broke before the body's end.
            ProviderTimeout: Nothing came for the idle timeout.
        """
        ...

    async def close(self) -> None:
        """Cancel what has not arrived, and give the connection back."""
        ...


class Health(Protocol):
    """How deployments fare, as all processes together have seen it.

    Reading costs no I/O: what other processes saw arrives in the background, within a second.
    Should the shared store be away, each process goes by what it has seen itself.
    """

    def facts(self, deployment_id: str) -> DeploymentFacts:
        """What is known now."""
        ...

    def observe(self, observation: Observation) -> None:
        """Note how a call went; told to the other processes in the background."""
        ...

    async def may_try(self, deployment_id: str) -> bool:
        """Whether a call may go there now.

        True while the breaker is closed, false while it is open. Half-open, it is true for one call
        at a time, over all processes, until that call was observed or some seconds have passed.
        """
        ...


class Probe(Protocol):
    """Asks a deployment whether it is there, without a caller's call."""

    async def ask(self, deployment: Deployment) -> Observation:
        """Ask once, for nothing: no model is called. Never raises; no answer is a failure."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class Credentials(Protocol):
    """Proves to providers who pays."""

    async def headers(self, deployment: Deployment, exchange: Exchange) -> Mapping[str, str]:
        """The headers to add to `exchange.request`; none for a server that asks for none.

        Raises:
            ProviderUnavailable: There is no such credential, or it cannot be had just now.
        """
        ...


class Providers(Protocol):
    """Sends requests to model providers."""

    async def send(
        self, request: ProviderRequest, credential: Mapping[str, str], timeout_s: float
    ) -> ProviderAnswer:
        """Send, and wait for the answer's head at most `timeout_s`.

        Raises:
            ProviderUnavailable: No connection.
            ProviderTimeout: No head in time.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
