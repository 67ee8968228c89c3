"""May this caller make this call, and where may it go?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from llm_core.answer_headers import limit_headers
from llm_core.catalogue import Auth, Catalogue, Deployment
from llm_core.errors import (
    AccessError,
    ContentLogUnavailable,
    GatewayError,
    MalformedRequest,
    RequestError,
    UnpricedModel,
    UnsupportedParameter,
)
from llm_core.ids import is_id
from llm_core.operation import ABOUT_CALLER, OWN_OPERATIONS, Operation
from llm_core.policy.allowance import max_output_tokens, worst_case
from llm_core.policy.approvals import ApprovalGrant
from llm_core.policy.binding import bound
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
from llm_core.policy.limits import Amounts, Limit, LimitState, Priority
from llm_core.policy.networks import NamedNetworks
from llm_core.pricing.charge import ModelPrice
from llm_core.routing.candidates import capable
from llm_core.routing.facts import BreakerState, DeploymentFacts
from llm_core.routing.strategies import in_order, with_trial
from policy_service.ids import new_id
from policy_service.periods import local
from policy_service.ports.clock import Clock
from policy_service.ports.ledger import Prices
from policy_service.ports.limits import LimitsStore, Refused, Reserved
from policy_service.ports.policy import PolicyEngine, PolicyResult
from policy_service.ports.providers import Health
from policy_service.services.answer_cache import AnswerCache, Hit, Lookup, answered_before
from policy_service.services.approvals import ApprovalDesk
from policy_service.services.content_log import ContentLog, require_log
from policy_service.services.decision_recorder import DecisionRecorder, Heard
from policy_service.services.degraded import degraded_header
from policy_service.services.known_approvals import KnownApprovals
from policy_service.services.own_answers import OwnAnswers
from policy_service.services.refusals import (
    from_limits,
    from_reasons,
    out_of_scope,
    refusal,
    renewals,
)
from policy_service.services.relying import (
    grants_of,
    named,
    over_cap,
    relying,
    told_amounts,
    told_how,
    with_room,
)
from policy_service.services.reserving import Reserving
from policy_service.services.self_service import SelfService
from policy_service.services.tickets import Tickets
from policy_service.services.watching import UNWATCHED, Watch


def _no_networks() -> NamedNetworks:
    return NamedNetworks({})


@dataclass(frozen=True, slots=True)
class Decider:
    """Decides: scope, catalogue, prices, policy over every candidate, then all limits in one step.

    Policy is asked about every deployment of the model, also about those that cannot serve this
    call: its reasons are then complete, and a caller who may not use a model does not learn what it
    can do. Of those that policy permits, the capable ones are kept and put in the order in which
    they are to be tried. What is not in that order is never called.

    Args:
        health: How deployments fare.
        draw: A random number from 0 up to 1, for the strategies that leave something to chance.
        ticket_ttl_s: How long a ticket waits for its request.
        lease_s: How long the reservation waits for its usage.
        answers: Those that were given before; without it none is kept.
        about: Tells callers about themselves; without it nobody is told.
        recorder: Takes note of every decision; without it none is logged.
        content: Keeps words where policy wants that; without it such a call is refused.
        approvals: The grants that hold; without it none does.
        desk: Takes requests for approval; without it nobody can ask.
        networks: Those of the policy in force; without it no call lies in any.
        watch: Counts and traces decisions.
    """

    catalogue: Catalogue
    prices: Prices
    policy: PolicyEngine
    limits: LimitsStore
    reserving: Reserving
    tickets: Tickets
    clock: Clock
    health: Health
    draw: Callable[[], float]
    ticket_ttl_s: float
    lease_s: float
    answers: AnswerCache | None = None
    about: SelfService | None = None
    recorder: DecisionRecorder | None = None
    content: ContentLog | None = None
    approvals: KnownApprovals | None = None
    desk: ApprovalDesk | None = None
    networks: Callable[[], NamedNetworks] = _no_networks
    watch: Watch = UNWATCHED
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
        now, heard = self.clock(), Heard()
        with self.watch.deciding(decision_id, request, heard) as outcome:
            try:
                made = await self._decided(decision_id, request, now, heard)
            except GatewayError as fault:
                if self.recorder is not None:
                    self.recorder.note(decision_id, request, heard, now, fault=fault)
                raise
            if self.recorder is not None:
                self.recorder.note(decision_id, request, heard, now, made=made)
            outcome.settle(made)
        return made

    async def _decided(
        self, decision_id: str, request: DecisionRequest, now: datetime, heard: Heard
    ) -> Decision:
        try:
            _require_scope(request.caller, request.call.operation)
            if request.call.operation in OWN_OPERATIONS:
                own = OwnAnswers(self.catalogue, self.policy, self.approvals, self.about, self.desk)
                return await own.answer(decision_id, request, now, heard)
            return await with_room(
                grants_of(self.approvals, request.caller, now),
                partial(self._call, decision_id, request, now, heard),
            )
        except (RequestError, AccessError, UnpricedModel, ContentLogUnavailable) as error:
            return refusal(decision_id, error, revision="")

    async def _call(
        self,
        decision_id: str,
        request: DecisionRequest,
        now: datetime,
        heard: Heard,
        grants: Sequence[ApprovalGrant],
    ) -> Decision:
        model = self.catalogue.model(request.call.asked_model)
        limits = request.caller.limits
        caller, call = bound(request.caller, self._located(request.call), now)
        request = replace(request, caller=caller, call=call)
        offers = [(one, self._price(one, now)) for one in model.deployments]
        budgets = await self._budgets(caller, now)
        candidates = [_candidate(call, deployment, price) for deployment, price in offers]
        at = local(now, caller.time_zone)
        document = build_input(caller, call, candidates, budgets, at, approvals=grants)
        result = await heard.evaluate(self.policy, document)
        if not result.allow:
            reasons = told_how(result.reasons, self.approvals, caller, call.asked_model)
            reasons = told_amounts(reasons, call.asked_model, grants, candidates)
            return refusal(
                decision_id,
                from_reasons(reasons, renewals(budgets, now)),
                revision=result.revision,
                headers=limit_headers(budgets),
            )
        require_log(self.content, result.obligations, caller.organisation)
        grant = named(grants, result.approval)
        permitted = tuple(
            PricedDeployment(deployment, price)
            for deployment, price in offers
            if deployment.id in result.permitted and price is not None
        )
        if not permitted:
            raise UnpricedModel("No permitted deployment of this model has a price.")
        try:
            choices = capable(call, permitted, result.obligations)
        except UnsupportedParameter as incapable:
            return refusal(decision_id, incapable, revision=result.revision)
        found = await self._looked_up(request, choices, result)
        facts = {one.deployment.id: self.health.facts(one.deployment.id) for one in choices}
        order = with_trial(
            in_order(model, call, choices, result.obligations, facts=facts, draw=self.draw),
            facts,
            self.draw,
        )
        amounts = worst_case(call, order, result.obligations)
        reservation = self._reservation(
            decision_id, request, permitted=order, result=result, amounts=amounts, now=now
        )
        reservation = replace(
            relying(reservation, grant),
            cache=found.use,
            cache_key=found.key,
            unmet=_unmet(limits, request),
        )
        if found.hit is not None:
            reservation, amounts = answered_before(reservation, found.hit)
        reserved = await self.reserving.reserve(reservation, amounts, now)
        if isinstance(reserved, Refused):
            heard.exceeded = reserved.exceeded.measure
            over = over_cap(
                reserved,
                grant,
                decision_id=decision_id,
                model=call.asked_model,
                revision=result.revision,
            )
            return over or refusal(
                decision_id,
                from_limits(reserved, now, whole=_whole(reserved.exceeded, limits, call.priority)),
                revision=result.revision,
                headers={
                    **limit_headers(reserved.states),
                    **degraded_header(is_degraded=reserved.is_degraded),
                },
            )
        if found.hit is not None:
            return await self._given_again(reservation, found.hit, reserved)
        return Decision(
            decision_id=decision_id,
            policy_revision=result.revision,
            transport=_transport(reservation, facts),
            ticket=self.tickets.issue(decision_id, now + timedelta(seconds=self.ticket_ttl_s)),
            deployments=order,
            obligations=reservation.obligations,
            headers={
                "x-gatehouse-decision-id": decision_id,
                **limit_headers(reserved.states),
                **degraded_header(is_degraded=reserved.is_degraded),
                "x-gatehouse-cache": found.use.value,
            },
            issued_at=now,
            approval=reservation.approval,
            approval_usd=None if grant is None else grant.amount_usd,
        )

    def _located(self, call: Call) -> Call:
        """The call with its networks' names, and without the address: that ends here."""
        if call.source_ip is None:
            return call
        names = self.networks().names_of(call.source_ip)
        return replace(call, source_ip=None, networks=names)

    async def _looked_up(
        self,
        request: DecisionRequest,
        permitted: Sequence[PricedDeployment],
        result: PolicyResult,
    ) -> Lookup:
        if self.answers is None or result.obligations.is_screened:
            return Lookup()  # an answer that was screened for one is not for another
        found = await self.answers.look_up(request, permitted, result.obligations, result.revision)
        return found.left_to_relay() if result.obligations.keeps_words else found

    async def _given_again(
        self, reservation: Reservation, hit: Hit, reserved: Reserved
    ) -> Decision:
        if self.answers is not None:
            await self.answers.give(reservation, hit)
        return Decision(
            decision_id=reservation.decision_id,
            policy_revision=reservation.policy_revision,
            transport=Transport.ANSWER,
            headers={
                "x-gatehouse-decision-id": reservation.decision_id,
                **limit_headers(reserved.states),
                **degraded_header(is_degraded=reserved.is_degraded),
                **hit.headers(),
            },
            answer=hit.kept.body,
            issued_at=reservation.decided_at,
        )

    async def _budgets(self, caller: Caller, now: datetime) -> tuple[LimitState, ...]:
        """Where those limits stand that policy looks at: all but what is over in a minute."""
        lasting = [limit for limit in caller.limits if limit.measure.period.is_from_ledger]
        return await self.limits.states(lasting, now) if lasting else ()

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


def _require_scope(caller: Caller, operation: Operation) -> None:
    """Let a key do what it is good for; whoever it is, it may ask about itself.

    Raises:
        PolicyDenied: It is good for other operations.
    """
    is_about_caller = operation in ABOUT_CALLER
    if caller.operations and not is_about_caller and operation not in caller.operations:
        raise out_of_scope(operation, caller.operations)


def _unmet(limits: Sequence[Limit], request: DecisionRequest) -> tuple[Limit, ...]:
    """What the reservation keeps for the embedding of its question, where one may be made."""
    if request.route.similarity is None:
        return ()
    return tuple(limit for limit in limits if not limit.binds(request.call.asked_model))


def _whole(exceeded: Limit, limits: Sequence[Limit], priority: Priority) -> Limit | None:
    """The limit that a batch call may not fill, as the organisation has it."""
    if priority is not Priority.BATCH:
        return None
    return next((limit for limit in limits if limit.key == exceeded.key), None)


def _transport(reservation: Reservation, facts: Mapping[str, DeploymentFacts]) -> Transport:
    """Direct when nothing is streamed and one healthy deployment is all there is to try.

    What is to be kept, screened or written down goes by the relay: Kong's own way sees no words.

    Deployments whose breakers are open do not count: nobody would go there. A half-open one does:
    the relay asks before it tries one, and Kong cannot. Nor can Kong make a credential for each
    call.
    """
    order = reservation.deployments
    if reservation.cache_key or reservation.obligations.needs_words:
        return Transport.RELAY
    states = [facts[one.deployment.id].breaker for one in order]
    is_alone = states[0] is BreakerState.CLOSED and all(
        state is BreakerState.OPEN for state in states[1:]
    )
    is_static = order[0].deployment.auth is Auth.STATIC
    direct = is_alone and is_static and not reservation.call.is_streaming
    return Transport.DIRECT if direct else Transport.RELAY


def _candidate(call: Call, deployment: Deployment, price: ModelPrice | None) -> Candidate:
    worst = None
    if price is not None:
        priced = (PricedDeployment(deployment, price),)
        worst = worst_case(call, priced, Obligations()).usd
    return Candidate(deployment=deployment, price=price, worst_usd=worst)
