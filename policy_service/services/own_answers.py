"""What the gateway answers by itself: no provider is asked, nothing is reserved or charged."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from llm_core.catalogue import Catalogue
from llm_core.errors import NotServed
from llm_core.operation import Operation
from llm_core.policy.call import Call
from llm_core.policy.caller import Caller
from llm_core.policy.decision import Decision, DecisionRequest, Transport
from llm_core.policy.input import build_input
from policy_service.periods import local
from policy_service.ports.policy import PolicyEngine, PolicyResult
from policy_service.services.approvals import ApprovalDesk
from policy_service.services.decision_recorder import Heard
from policy_service.services.known_approvals import KnownApprovals
from policy_service.services.refusals import from_reasons, refusal
from policy_service.services.relying import grants_of
from policy_service.services.self_service import SelfService


@dataclass(frozen=True, slots=True)
class OwnAnswers:
    """Answers about models, approvals and the caller; see `Decider` for its parts."""

    catalogue: Catalogue
    policy: PolicyEngine
    approvals: KnownApprovals | None = None
    about: SelfService | None = None
    desk: ApprovalDesk | None = None

    async def answer(
        self, decision_id: str, request: DecisionRequest, now: datetime, heard: Heard
    ) -> Decision:
        """Answer one request.

        Raises:
            PolicyUnavailable: No decision can be had.
            NotServed: Nobody here answers that.
        """
        revision, headers = "", {"x-gatehouse-decision-id": decision_id}
        if request.call.operation is Operation.MODELS:
            result = await self._models(request.caller, now, heard)
            if not result.allow:
                return refusal(decision_id, from_reasons(result.reasons), revision=result.revision)
            revision, answer = result.revision, _model_list(result.models)
        elif request.call.operation in (Operation.APPROVALS, Operation.APPROVALS_REQUEST):
            if self.desk is None:
                raise NotServed("Nobody takes requests for approval here.")
            headers["cache-control"] = "no-store"
            answer = await self.desk.answer(request)
        elif self.about is None:
            raise NotServed("Nobody is told about themselves here.")
        else:
            headers["cache-control"] = "no-store"
            if request.call.operation is Operation.ME:
                result = await self._models(request.caller, now, heard)
                revision = result.revision
                answer = await self.about.me(request.caller, result.models, now)
            else:
                answer = await self.about.usage(request.caller, now)
        return Decision(
            decision_id=decision_id,
            policy_revision=revision,
            transport=Transport.ANSWER,
            headers=headers,
            answer=answer,
            issued_at=now,
        )

    async def _models(self, caller: Caller, now: datetime, heard: Heard) -> PolicyResult:
        """What policy says to a caller who asks for the models, in the catalogue's order."""
        aliases = [model.alias for model in self.catalogue.models]
        at, grants = local(now, caller.time_zone), grants_of(self.approvals, caller, now)
        document = build_input(
            caller, Call(Operation.MODELS), [], [], at, models=aliases, approvals=grants
        )
        result = await heard.evaluate(self.policy, document)
        usable = set(result.models)
        return replace(result, models=tuple(alias for alias in aliases if alias in usable))


def _model_list(aliases: Sequence[str]) -> dict[str, Any]:
    """OpenAI's list of models.

    Source:
        https://platform.openai.com/docs/api-reference/models/list (checked 2026-11-20)
    """
    return {
        "object": "list",
        "data": [
            {"id": alias, "object": "model", "created": 0, "owned_by": "gatehouse"}
            for alias in aliases
        ],
    }
