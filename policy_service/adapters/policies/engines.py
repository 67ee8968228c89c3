"""Which engine decides under a bundle: embedded, OPA that is pushed to, or OPA that pulls."""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_core.errors import PolicyUnavailable
from policy_service.adapters.policies.lists import require_readable
from policy_service.adapters.policies.trial import embedded
from policy_service.adapters.policy_bundle import PolicyBundle
from policy_service.ports.policy import EmbeddedEngine, PolicyEngine, PolicyResult

if TYPE_CHECKING:
    from policy_service.adapters.opa_policy import OpaPolicy

_log = logging.getLogger(__name__)


class WithSpare:
    """A `PolicyEngine` that has another one answer while it cannot.

    Args:
        first: Is asked first, every time.
        spare: Answers when `first` is `PolicyUnavailable`; the result names it.
    """

    def __init__(self, first: PolicyEngine, spare: PolicyEngine) -> None:
        """Use both; both are closed with it."""
        self._first = first
        self._spare = spare
        self._is_down = False

    @property
    def name(self) -> str:
        """The first one's name."""
        return self._first.name

    async def evaluate(self, document: dict[str, Any]) -> PolicyResult:
        """Decide about `document`.

        Raises:
            PolicyUnavailable: Neither answers.
        """
        try:
            result = await self._first.evaluate(document)
        except PolicyUnavailable as outage:
            if not self._is_down:
                _log.warning("%s is away, %s decides: %s", self.name, self._spare.name, outage)
            self._is_down = True
            return await self._spare.evaluate(document)
        if self._is_down:
            _log.warning("%s decides again", self.name)
        self._is_down = False
        return result

    async def ready(self) -> bool:
        """Whether one of the two answers."""
        return await self._first.ready() or await self._spare.ready()

    async def close(self) -> None:
        """Let go of both."""
        await self._first.close()
        await self._spare.close()


@dataclass(frozen=True, slots=True)
class Engines:
    """Makes the engine for a bundle.

    Args:
        opa_url: Where OPA listens; `None` for the embedded engine.
        opa_timeout_s: Longest wait for OPA.
        pushes: OPA is given the bundle by the service, instead of pulling it by itself.
        has_spare: While OPA cannot be asked the embedded engine answers.
        embedded: What that is.
    """

    opa_url: str | None = None
    opa_timeout_s: float = 1.0
    pushes: bool = False
    has_spare: bool = False
    embedded: EmbeddedEngine = EmbeddedEngine.AUTO

    @property
    def knows_by_itself(self) -> bool:
        """Whether the engine has a policy that does not come from this process."""
        return self.opa_url is not None and not self.pushes

    async def make(self, bundle: PolicyBundle) -> PolicyEngine:
        """An engine that answers under `bundle`; one that pulls answers under its own.

        Raises:
            BrokenBundle: It does not compile, allows the empty question, or has lists that the
                service itself cannot read.
        """
        require_readable(bundle)
        if self.opa_url is None:
            return await embedded(bundle, self.embedded)
        opa = self._opa(self.opa_url, bundle if self.pushes else None)
        if not self.pushes and not self.has_spare:
            return opa
        # Before OPA is given anything: it refuses module by module, and would be left with a half.
        spare = await embedded(bundle, self.embedded)
        if self.pushes:
            try:
                await opa.push()
            except PolicyUnavailable as outage:
                _log.warning("OPA is given the policy with the next question: %s", outage)
            except BaseException:
                await spare.close()
                raise
        if self.has_spare:
            return WithSpare(opa, spare)
        await spare.close()
        return opa

    def alone(self) -> PolicyEngine:
        """OPA as it is, where nobody knows which bundle is live.

        Raises:
            PolicyUnavailable: The engine depends on this process for its policy.
        """
        if self.opa_url is None or self.pushes:
            raise PolicyUnavailable("Which policy is live is not known yet.")
        return self._opa(self.opa_url)

    def _opa(self, url: str, bundle: PolicyBundle | None = None) -> "OpaPolicy":
        # Its client is a tenth of the start, for those that have no OPA.
        from policy_service.adapters.opa_policy import OpaPolicy  # noqa: PLC0415

        return OpaPolicy(url, timeout_s=self.opa_timeout_s, bundle=bundle)
