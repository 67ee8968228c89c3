"""May this caller make this call, and where may it go?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from llm_core.answer_headers import limit_headers
from llm_core.catalogue import Catalogue, Deployment
from llm_core.errors import AccessError, MalformedRequest, RequestError, UnpricedModel
from llm_core.ids import is_id
from llm_core.operation import Operation
from llm_core.policy.allowance import max_output_tokens, worst_case
from llm_core.policy.call import Call
from llm_core.policy.caller import Caller
from llm_core.policy.decision import (
    Decision,
    DecisionRequest,
    Obligations,
    PricedDeployment,
    Reservation,
    Transport,
)
from llm_core.policy.input import Candidate, build_input
from llm_core.policy.limits import Amounts
from llm_core.pricing.charge import ModelPrice
from policy_service.ids import new_id
from policy_service.ports import (
    Clock,
    LimitsStore,
    PolicyEngine,
    PolicyResult,
    Prices,
    Refused,
)
from policy_service.services.refusals import from_limits, from_reasons, refusal
from policy_service.services.reserving import Reserving
from policy_service.services.tickets import Tickets


@dataclass(frozen=True, slots=True)
class Decider:
    """Decides: catalogue, prices, policy over every candidate, then all limits in one step.

    Args:
        ticket_ttl_s: How long a ticket waits for its request.
        lease_s: How long the reservation waits for its usage.
    """

    catalogue: Catalogue
    prices: Prices
    policy: PolicyEngine
    limits: LimitsStore
    reserving: Reserving
    tickets: Tickets
    clock: Clock
    ticket_ttl_s: float
    lease_s: float
    make_id: Callable[[str], str] = new_id

    async def decide(self, request: DecisionRequest) -> Decision:
        """Answer one decision request; a refusal is an answer too.

        Raises:
            PolicyUnavailable: No decision can be had.
            MalformedRequest: The request's decision id is none.
        """
        decision_id = self.make_id("dec") if request.decision_id is None else request.decision_id
        if request.decision_id is not None and not is_id("dec", decision_id):
            raise MalformedRequest("A decision's id is `dec_` and 26 characters of base32.")
        now = self.clock()
        try:
            if request.call.operation is Operation.MODELS:
                return await self._listing(decision_id, request, now)
            return await self._call(decision_id, request, now)
        except (RequestError, AccessError, UnpricedModel) as error:
            return refusal(decision_id, error, revision="")

    async def _call(self, decision_id: str, request: DecisionRequest, now: datetime) -> Decision:
        caller, call = request.caller, request.call
        model = self.catalogue.model(call.asked_model)
        offers = [(one, self._price(one, now)) for one in model.deployments]
        result = await self._ask(caller, call, offers, now)
        if not result.allow:
            return refusal(decision_id, from_reasons(result.reasons), revision=result.revision)
        permitted = tuple(
            PricedDeployment(deployment, price)
            for deployment, price in offers
            if deployment.id in result.permitted and price is not None
        )
        if not permitted:
            raise UnpricedModel("No permitted deployment of this model has a price.")
        amounts = worst_case(call, permitted, result.obligations)
        reservation = self._reservation(
            decision_id, request, permitted=permitted, result=result, amounts=amounts, now=now
        )
        reserved = await self.reserving.reserve(reservation, amounts, now)
        if isinstance(reserved, Refused):
            return refusal(
                decision_id,
                from_limits(reserved),
                revision=result.revision,
                headers=limit_headers(reserved.states),
            )
        return Decision(
            decision_id=decision_id,
            policy_revision=result.revision,
            transport=_transport(call, permitted),
            ticket=self.tickets.issue(decision_id, now + timedelta(seconds=self.ticket_ttl_s)),
            deployments=permitted,
            obligations=reservation.obligations,
            headers={
                "x-gatehouse-decision-id": decision_id,
                **limit_headers(reserved.states),
            },
            issued_at=now,
        )

    async def _listing(self, decision_id: str, request: DecisionRequest, now: datetime) -> Decision:
        """Answer `GET /v1/models`: only what this caller may use."""
        aliases = [model.alias for model in self.catalogue.models]
        document = build_input(request.caller, request.call, [], [], now, models=aliases)
        result = await self.policy.evaluate(document)
        if not result.allow:
            return refusal(decision_id, from_reasons(result.reasons), revision=result.revision)
        usable = set(result.models)
        return Decision(
            decision_id=decision_id,
            policy_revision=result.revision,
            transport=Transport.ANSWER,
            headers={"x-gatehouse-decision-id": decision_id},
            answer=_model_list([alias for alias in aliases if alias in usable]),
            issued_at=now,
        )

    async def _ask(
        self,
        caller: Caller,
        call: Call,
        offers: Sequence[tuple[Deployment, ModelPrice | None]],
        now: datetime,
    ) -> PolicyResult:
        money = [limit for limit in caller.limits if limit.measure.is_money]
        budgets = await self.limits.states(money, now) if money else ()
        candidates = [_candidate(call, deployment, price) for deployment, price in offers]
        return await self.policy.evaluate(build_input(caller, call, candidates, budgets, now))

    def _price(self, deployment: Deployment, now: datetime) -> ModelPrice | None:
        return self.prices.price(
            deployment.price_provider or deployment.provider_name,
            deployment.price_model or deployment.model,
            now,
        )

    def _reservation(
        self,
        decision_id: str,
        request: DecisionRequest,
        *,
        permitted: tuple[PricedDeployment, ...],
        result: PolicyResult,
        amounts: Amounts,
        now: datetime,
    ) -> Reservation:
        call = request.call
        longest = max(
            max_output_tokens(call.max_output_tokens, one.deployment, result.obligations)
            for one in permitted
        )
        return Reservation(
            decision_id=decision_id,
            caller=request.caller,
            call=call,
            operation=call.operation,
            deployments=permitted,
            obligations=result.obligations,
            prompt_tokens=call.prompt_tokens,
            max_output_tokens=longest,
            usd=amounts.usd,
            decided_at=now,
            expires_at=now + timedelta(seconds=self.lease_s),
            policy_revision=result.revision,
            route=request.route,
        )


def _transport(call: Call, permitted: Sequence[PricedDeployment]) -> Transport:
    """Direct when nothing is streamed and there is nowhere to fail over to."""
    return Transport.DIRECT if len(permitted) == 1 and not call.is_streaming else Transport.RELAY


def _candidate(call: Call, deployment: Deployment, price: ModelPrice | None) -> Candidate:
    worst = None
    if price is not None:
        priced = (PricedDeployment(deployment, price),)
        worst = worst_case(call, priced, Obligations()).usd
    return Candidate(deployment=deployment, price=price, worst_usd=worst)


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
