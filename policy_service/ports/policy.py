"""What Rego says, and who asks it."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from llm_core.policy.decision import Obligations, Reason


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """What Rego says about one call and every candidate deployment.

    Args:
        allow: True only when policy said so explicitly and permits at least one deployment; for the
            operation `models`, when the caller may ask for the list.
        permitted: Ids of the permitted deployments, in the candidates' order.
        reasons: Why not; for a call that is allowed, why some deployments are not.
        revision: The bundle's revision.
        models: For the operation `models`: the aliases the caller may ask for, in the order given.
        approval: Id of the grant that the permission rests on; `None` when it needs none.
        engine: The name of the engine that answered.
        duration_ms: What the evaluation took, waiting included.
    """

    allow: bool
    permitted: tuple[str, ...]
    reasons: tuple[Reason, ...]
    obligations: Obligations
    revision: str
    models: tuple[str, ...] = ()
    approval: str | None = None
    engine: str = field(default="", compare=False)
    duration_ms: float = field(default=0.0, compare=False)


class EmbeddedEngine(StrEnum):
    """What evaluates the policy where no OPA does."""

    AUTO = "auto"
    """WebAssembly where `opa` is there to compile the rules, or else regopy."""
    WASM = "wasm"
    REGOPY = "regopy"


class PolicyEngine(Protocol):
    """Evaluates the bundle's one entrypoint; undefined is deny."""

    @property
    def name(self) -> str:
        """`opa`, `wasm` or `regopy`, for the decision log and `/readyz`."""
        ...

    async def evaluate(self, document: dict[str, Any]) -> PolicyResult:
        """Decide about `document`, as `llm_core.policy.input` builds it.

        Raises:
            PolicyUnavailable: The engine cannot be reached, fails, or has no bundle.
        """
        ...

    async def ready(self) -> bool:
        """Whether the engine answers and has the bundle."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class SignedPolicy(Protocol):
    """A signed bundle."""

    @property
    def tarball(self) -> bytes:
        """As OPA takes it."""
        ...

    @property
    def etag(self) -> str:
        """Tells it from every other, hex."""
        ...


class LiveEngine(PolicyEngine, Protocol):
    """The engine that decides, whichever policy is live."""

    @property
    def signed(self) -> SignedPolicy | None:
        """The live bundle, signed; `None` while the service's own folder is live."""
        ...

    def detail(self) -> dict[str, Any]:
        """What there is to tell an operator: revision, source, fault, shadow."""
        ...
