"""A policy engine that says what the test wants."""

from dataclasses import replace
from typing import Any

from llm_core.errors import PolicyUnavailable
from llm_core.policy.decision import Obligations, Reason
from policy_service.ports.policy import PolicyResult


class FakePolicy:
    """Implements `PolicyEngine`; permits every candidate unless told otherwise.

    Args:
        reasons: Deny for these.
        permitted: Permit only these ids.
        models: What `GET /v1/models` may list; every alias by default.
    """

    name = "fake"

    def __init__(
        self,
        *,
        reasons: tuple[Reason, ...] = (),
        permitted: tuple[str, ...] | None = None,
        models: tuple[str, ...] | None = None,
        obligations: Obligations | None = None,
    ) -> None:
        self.reasons = reasons
        self.permitted = permitted
        self.models = models
        self.obligations = obligations or Obligations()
        self.documents: list[dict[str, Any]] = []
        self.is_down = False

    async def evaluate(self, document: dict[str, Any]) -> PolicyResult:
        """Say so."""
        if self.is_down:
            raise PolicyUnavailable("The policy engine is down.")
        self.documents.append(document)
        candidates = tuple(candidate["id"] for candidate in document["candidates"])
        permitted = candidates if self.permitted is None else self.permitted
        said = PolicyResult(
            allow=not self.reasons,
            permitted=permitted,
            reasons=self.reasons,
            obligations=self.obligations,
            revision="rev-7",
            models=tuple(document["models"]) if self.models is None else self.models,
        )
        return replace(said, permitted=(), models=()) if self.reasons else said

    async def ready(self) -> bool:
        """Whether it is up."""
        return not self.is_down

    async def close(self) -> None:
        """Nothing to let go of."""
