"""What Rego says, and who asks it."""

from dataclasses import dataclass
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
        approval: The grant that the permission rests on, one of `input.approvals`.
    """

    allow: bool
    permitted: tuple[str, ...]
    reasons: tuple[Reason, ...]
    obligations: Obligations
    revision: str
    models: tuple[str, ...] = ()
    approval: str | None = None


class PolicyEngine(Protocol):
    """Evaluates the bundle's one entrypoint; undefined is deny."""

    @property
    def name(self) -> str:
        """`opa` or `regopy`, for the decision log and `/readyz`."""
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
