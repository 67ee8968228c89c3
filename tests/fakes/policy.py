"""A policy engine that says what the test wants."""

from dataclasses import replace
from typing import Any

from llm_core.errors import PolicyUnavailable
from llm_core.policy.decision import Obligations, Reason
from policy_service.ports.policy import PolicyResult

APPROVAL_MISSING = Reason("approval_required", "Needs one.", "llm.approvals", "Ask.")


class FakePolicy:
    """Implements `PolicyEngine`; permits every candidate unless told otherwise.

    Args:
        reasons: Deny for these.
        permitted: Permit only these ids.
        models: What `GET /v1/models` may list; every alias by default.
        needs_approval: Deny where no grant is for the model, and rely on the first that is.
    """

    name = "fake"

    def __init__(
        self,
        *,
        reasons: tuple[Reason, ...] = (),
        permitted: tuple[str, ...] | None = None,
        models: tuple[str, ...] | None = None,
        obligations: Obligations | None = None,
        needs_approval: bool = False,
    ) -> None:
        self.reasons = reasons
        self.permitted = permitted
        self.models = models
        self.obligations = obligations or Obligations()
        self.needs_approval = needs_approval
        self.documents: list[dict[str, Any]] = []
        self.is_down = False

    async def evaluate(self, document: dict[str, Any]) -> PolicyResult:
        """Say so."""
        if self.is_down:
            raise PolicyUnavailable("The policy engine is down.")
        self.documents.append(document)
        candidates = tuple(candidate["id"] for candidate in document["candidates"])
        permitted = candidates if self.permitted is None else self.permitted
        asked = document["call"]["asked_model"]
        grants = [grant["id"] for grant in document["approvals"] if grant["model"] == asked]
        reasons = self.reasons
        if self.needs_approval and not grants:
            reasons = (*reasons, APPROVAL_MISSING)
        said = PolicyResult(
            allow=not reasons,
            permitted=permitted,
            reasons=reasons,
            obligations=self.obligations,
            revision="rev-7",
            models=tuple(document["models"]) if self.models is None else self.models,
        )
        if reasons:
            return replace(said, permitted=(), models=())
        return replace(said, approval=grants[0]) if self.needs_approval else said

    async def ready(self) -> bool:
        """Whether it is up."""
        return not self.is_down

    async def close(self) -> None:
        """Nothing to let go of."""
