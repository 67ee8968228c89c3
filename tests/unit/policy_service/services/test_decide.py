"""Deciding, with real limits in memory and a policy that says what the test wants."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from llm_core.catalogue import Auth, Catalogue, Deployment, Model, Strategy
from llm_core.errors import MalformedRequest, PolicyUnavailable
from llm_core.operation import Operation
from llm_core.policy.call import Call
from llm_core.policy.caller import Caller
from llm_core.policy.decision import (
    Decision,
    DecisionRequest,
    Obligations,
    Reason,
    Transport,
)
from llm_core.policy.limits import Amounts, Limit, Measure, Priority, Raise
from llm_core.policy.networks import NamedNetworks
from llm_core.policy.route import RouteOptions
from llm_core.pricing.charge import ModelPrice, Rates
from llm_core.routing.facts import BreakerState, DeploymentFacts
from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.ports.limits import Unprimed
from policy_service.services.decide import Decider
from policy_service.services.reserving import Reserving
from policy_service.services.self_service import SelfService
from policy_service.services.tickets import Tickets
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.known_health import KnownHealth
from tests.fakes.ledger import FakeLedger
from tests.fakes.own_figures import FakeOwnFigures
from tests.fakes.policy import FakePolicy
from tests.fakes.samples import (
    AZURE,
    CALLER,
    CATALOGUE,
    CLAUDE,
    OPENAI,
    PRICE,
    chat_body,
    chat_call,
)

TICKETS = Tickets("ticket-secret-0123456789")
NETWORKS = NamedNetworks({"office": ["192.0.2.0/24"]})
DEAR = ModelPrice("v9", Rates(input=Decimal(100), output=Decimal(200)))


class FakePrices:
    """Implements `Prices`."""

    def __init__(self, **by_provider: ModelPrice | None) -> None:
        self.by_provider = by_provider
        self.asked: list[tuple[str, str, datetime]] = []

    def price(self, provider: str, model: str, at: datetime) -> ModelPrice | None:
        self.asked.append((provider, model, at))
        return self.by_provider.get(provider, PRICE)


@dataclass
class Service:
    """A decider and what stands around it."""

    policy: FakePolicy = field(default_factory=FakePolicy)
    prices: FakePrices = field(default_factory=FakePrices)
    limits: MemoryLimitsStore = field(default_factory=MemoryLimitsStore)
    ledger: FakeLedger = field(default_factory=FakeLedger)
    clock: FakeClock = field(default_factory=FakeClock)
    health: KnownHealth = field(default_factory=KnownHealth)
    figures: FakeOwnFigures = field(default_factory=FakeOwnFigures)
    catalogue: Catalogue = CATALOGUE
    draws: Sequence[float] = ()
    made: int = 0

    def decider(self) -> Decider:
        return Decider(
            catalogue=self.catalogue,
            prices=self.prices,
            policy=self.policy,
            limits=self.limits,
            reserving=Reserving(self.limits, self.ledger),
            tickets=TICKETS,
            clock=self.clock,
            health=self.health,
            draw=iter(self.draws).__next__,
            ticket_ttl_s=30,
            lease_s=300,
            about=SelfService(self.figures, Reserving(self.limits, self.ledger)),
            networks=lambda: NETWORKS,
            make_id=self._next_id,
        )

    def _next_id(self, kind: str) -> str:
        self.made += 1
        return f"{kind}_{self.made}"

    async def decide(self, *, caller: Caller = CALLER, **fields: Any) -> Decision:
        call = chat_call(chat_body(**fields))
        return await self.decider().decide(DecisionRequest(caller, call))

    async def used(self, *limits: Limit) -> list[Decimal]:
        return [state.used for state in await self.limits.states(limits, self.clock())]


def limited(*limits: Limit) -> Caller:
    return replace(CALLER, limits=limits)


def budget(usd: str) -> Limit:
    return Limit("team:search", Measure.USD_PER_MONTH, Decimal(usd))


def requests(amount: int) -> Limit:
    return Limit("team:search", Measure.REQUESTS_PER_MINUTE, Decimal(amount))


def refused_with(made: Decision) -> tuple[int, str]:
    assert made.denial
    assert not made.ticket
    assert not made.deployments
    assert made.denial.headers["x-gatehouse-decision-id"] == made.decision_id
    return made.denial.status, made.denial.body["error"]["code"]


# --- what policy is told


async def test_policy_and_the_reservation_know_networks_and_no_address() -> None:
    service = Service()
    call = replace(chat_call(chat_body(model="mini")), source_ip="192.0.2.7")
    made = await service.decider().decide(DecisionRequest(CALLER, call))
    [document] = service.policy.documents
    assert document["call"]["networks"] == ["office"]
    kept = await service.limits.find(made.decision_id)
    assert kept is not None
    assert (kept.call.source_ip, kept.call.networks) == (None, ("office",))


async def test_a_call_whose_address_nobody_told_lies_in_no_network() -> None:
    service = Service()
    await service.decide(model="mini")
    assert service.policy.documents[0]["call"]["networks"] == []


async def test_policy_hears_the_time_by_the_organisations_clocks() -> None:
    service = Service()
    await service.decide(model="mini", caller=replace(CALLER, time_zone="Asia/Tokyo"))
    await service.decide(model="mini", caller=replace(CALLER, time_zone="Nowhere/Land"))
    there, unknown = (document["time"]["local"] for document in service.policy.documents)
    assert (there["hour"], unknown["hour"]) == ((NOON.hour + 9) % 24, NOON.hour)


# --- allowed


async def test_one_deployment_and_no_stream_goes_direct() -> None:
    service = Service()
    made = await service.decide(model="mini")
    assert made.denial is None
    assert made.transport is Transport.DIRECT
    assert [priced.deployment.id for priced in made.deployments] == ["openai-mini"]
    assert made.deployments[0].price == PRICE
    assert made.headers["x-gatehouse-decision-id"] == "dec_1"
    assert made.policy_revision == "rev-7"
    assert TICKETS.decision_id(made.ticket, NOON) == "dec_1"


@pytest.mark.parametrize(
    "fields", [{"model": "mini", "stream": True}, {"model": "both"}], ids=["stream", "failover"]
)
async def test_a_stream_and_a_choice_of_deployments_go_by_the_relay(fields: Any) -> None:
    made = await Service().decide(**fields)
    assert made.transport is Transport.RELAY


async def test_only_what_policy_permits_can_be_reached() -> None:
    service = Service(policy=FakePolicy(permitted=("azure-mini", "not-in-the-catalogue")))
    made = await service.decide(model="both")
    assert [priced.deployment.id for priced in made.deployments] == ["azure-mini"]
    assert made.transport is Transport.DIRECT


async def test_policy_sees_every_candidate_with_its_price_and_the_budgets() -> None:
    service = Service(prices=FakePrices(openai=None))
    service.ledger.before = {"team:search": Decimal(4)}
    caller = limited(budget("10"), requests(5))
    await Reserving(service.limits, service.ledger).prime([budget("10")], NOON)
    await service.decide(model="both", caller=caller)
    document = service.policy.documents[-1]
    assert [one["id"] for one in document["candidates"]] == ["openai-mini", "azure-mini"]
    assert [one["is_priced"] for one in document["candidates"]] == [False, False]
    [state] = document["budgets"]
    assert (state["measure"], state["used"]) == ("usd_per_month", 4)


async def test_prices_are_looked_up_by_the_names_they_are_listed_under() -> None:
    service = Service()
    await service.decide(model="both")
    assert service.prices.asked == [
        ("openai", "gpt-4o-mini", NOON),
        ("openai", "gpt-4o-mini", NOON),
    ]


async def test_the_worst_case_of_the_dearest_deployment_is_reserved() -> None:
    service = Service(prices=FakePrices(anthropic=DEAR))
    made = await service.decide(model="sonnet", n=1, caller=limited(budget("10")))
    # 10 tokens, which are up to 14 of Claude's, at 100 and 100 tokens at 200 dollars a million.
    assert await service.used(budget("10")) == [Decimal("0.0214")]
    assert made.headers["x-gatehouse-budget-remaining-usd"] == "9.9786"


@pytest.mark.parametrize(
    ("asked", "obliged", "tokens"), [(None, None, 110), (40, None, 50), (40, 5, 15), (None, 5, 15)]
)
async def test_the_clamp_lowers_what_is_reserved_and_is_handed_on(
    asked: int | None, obliged: int | None, tokens: int
) -> None:
    limit = Limit("team:search", Measure.TOKENS_PER_MINUTE, Decimal(1000))
    service = Service(policy=FakePolicy(obligations=Obligations(max_output_tokens=obliged)))
    fields = {} if asked is None else {"max_tokens": asked}
    made = await service.decide(caller=limited(limit), **fields)
    assert await service.used(limit) == [tokens]
    assert made.obligations.max_output_tokens == obliged


async def test_what_is_kept_is_what_was_decided() -> None:
    service = Service()
    made = await service.decide(model="both", max_tokens=70, n=2)
    kept = await service.limits.find(made.decision_id)
    assert kept
    assert kept.deployments == made.deployments
    # The longer of 70 and 50, for one choice.
    assert kept.max_output_tokens == 70
    assert kept.usd == Decimal("0.000290")
    assert (kept.expires_at - kept.decided_at).total_seconds() == 300


async def test_the_caller_learns_where_the_limits_stand() -> None:
    made = await Service().decide(caller=limited(requests(5)))
    assert made.headers["x-ratelimit-limit-requests"] == "5"
    assert made.headers["x-ratelimit-remaining-requests"] == "4"


# --- refused


async def test_an_unknown_model_is_refused_without_asking_policy() -> None:
    service = Service()
    assert refused_with(await service.decide(model="gpt-9")) == (404, "model_not_found")
    assert service.policy.documents == []


async def test_a_model_without_a_price_is_refused_and_not_free() -> None:
    service = Service(prices=FakePrices(openai=None))
    made = await service.decide(model="mini", caller=limited(requests(5)))
    assert refused_with(made) == (503, "unpriced_model")
    assert await service.used(requests(5)) == [0]


async def test_an_unpriced_deployment_is_left_out_beside_a_priced_one() -> None:
    service = Service(prices=FakePrices(anthropic=None))
    made = await service.decide(model="both")
    assert made.denial is None
    service.prices.by_provider = {"openai": None}
    assert refused_with(await service.decide(model="both")) == (503, "unpriced_model")


async def test_a_denial_reserves_nothing_and_tells_the_reasons() -> None:
    reason = Reason("model_not_allowed", "Not this one.", "llm.models")
    service = Service(policy=FakePolicy(reasons=(reason,)))
    made = await service.decide(caller=limited(requests(5)))
    assert refused_with(made) == (403, "policy_denied")
    assert made.denial
    assert made.denial.body["error"]["reasons"][0]["code"] == "model_not_allowed"
    assert made.policy_revision == "rev-7"
    assert await service.used(requests(5)) == [0]
    assert await service.limits.find(made.decision_id) is None


async def test_a_budget_that_does_not_cover_the_worst_case_refuses() -> None:
    service = Service()
    service.ledger.before = {"team:search": Decimal("9.9999")}
    made = await service.decide(caller=limited(budget("10")))
    assert refused_with(made) == (429, "insufficient_quota")
    assert made.denial
    assert made.denial.headers["x-gatehouse-budget-remaining-usd"] == "0.0001"
    assert made.denial.headers["x-should-retry"] == "false"


async def test_a_rate_limit_refuses_and_says_when_it_fits() -> None:
    service = Service()
    caller = limited(requests(1), budget("10"))
    await service.decide(caller=caller)
    before = await service.used(budget("10"))
    service.clock.advance(20)
    made = await service.decide(caller=caller)
    assert refused_with(made) == (429, "rate_limit_exceeded")
    assert made.denial
    assert 39 <= int(made.denial.headers["retry-after"]) <= 42
    assert made.denial.headers["x-ratelimit-remaining-requests"] == "0"
    assert await service.used(budget("10")) == before


# --- counters that are not there yet


async def test_a_missing_counter_is_set_up_from_the_ledger() -> None:
    service = Service()
    service.ledger.before = {"team:search": Decimal(4)}
    made = await service.decide(caller=limited(budget("10")))
    assert made.denial is None
    assert service.ledger.sums_asked == ["team:search"]
    assert await service.used(budget("10")) == [Decimal("4.00021")]


async def test_without_the_ledger_a_missing_counter_is_no_budget() -> None:
    service = Service()
    service.ledger.is_down = True
    with pytest.raises(PolicyUnavailable):
        await service.decide(caller=limited(budget("10")))


async def test_counters_that_vanish_again_and_again_are_given_up_on() -> None:
    class Forgetful(MemoryLimitsStore):
        async def reserve(self, *_: Any) -> Unprimed:  # type: ignore[override]
            return Unprimed((budget("10"),))

    service = Service(limits=Forgetful())
    with pytest.raises(PolicyUnavailable, match="cannot be set up"):
        await service.decide(caller=limited(budget("10")))


async def test_policy_that_is_down_decides_nothing() -> None:
    service = Service()
    service.policy.is_down = True
    with pytest.raises(PolicyUnavailable):
        await service.decide()
    assert await service.limits.find("dec_1") is None


# --- the list of models


@pytest.mark.parametrize(
    ("models", "listed"),
    [
        (None, ["mini", "both", "sonnet"]),
        (("sonnet", "mini", "nowhere"), ["mini", "sonnet"]),
        ((), []),
    ],
)
async def test_the_list_of_models_is_the_callers_in_the_catalogues_order(
    models: tuple[str, ...] | None, listed: list[str]
) -> None:
    service = Service(policy=FakePolicy(models=models))
    call = Call(Operation.MODELS)
    made = await service.decider().decide(DecisionRequest(CALLER, call))
    assert made.transport is Transport.ANSWER
    assert made.answer
    assert [one["id"] for one in made.answer["data"]] == listed
    # Nothing is to be carried out, so nothing is reserved and no ticket opens the relay.
    assert (made.ticket, made.deployments) == ("", ())
    assert await service.limits.find(made.decision_id) is None


async def test_a_caller_who_may_not_ask_for_the_list_is_refused() -> None:
    service = Service(policy=FakePolicy(reasons=(Reason("no", "No.", "llm.x"),)))
    made = await service.decider().decide(DecisionRequest(CALLER, Call(Operation.MODELS)))
    assert refused_with(made) == (403, "policy_denied")


# --- which limits a call meets

BATCH, INTERACTIVE = Priority.BATCH, Priority.INTERACTIVE
KEEPING = Limit(
    "team:search",
    Measure.REQUESTS_PER_MINUTE,
    Decimal(4),
    interactive_share=Decimal("0.5"),
)
ON_MINI = Limit(
    "team:search", Measure.REQUESTS_PER_MINUTE, Decimal(1), scope="model:mini", models=("mini",)
)
SMALL = Limit(
    "team:search",
    Measure.REQUESTS_PER_MINUTE,
    Decimal(2),
    scope="group:small",
    models=("mini", "both"),
)


async def decide_as(service: Service, priority: Priority, caller: Caller) -> Decision:
    call = replace(chat_call(chat_body()), priority=priority)
    return await service.decider().decide(DecisionRequest(caller, call))


async def test_a_batch_call_leaves_alone_what_is_kept_for_interactive_ones() -> None:
    service = Service()
    caller = limited(KEEPING)
    for _ in range(2):
        assert (await decide_as(service, BATCH, caller)).denial is None
    refused = await decide_as(service, BATCH, caller)
    assert refused_with(refused) == (429, "rate_limit_exceeded")
    assert refused.denial
    assert "50 % of the limit are kept" in refused.denial.body["error"]["message"]
    for _ in range(2):
        assert (await decide_as(service, INTERACTIVE, caller)).denial is None
    refused = await decide_as(service, INTERACTIVE, caller)
    assert refused_with(refused) == (429, "rate_limit_exceeded")
    assert refused.denial
    assert "kept" not in refused.denial.body["error"]["message"]


async def test_a_batch_key_is_one_whatever_the_request_says() -> None:
    service = Service()
    caller = replace(limited(KEEPING), priority=BATCH)
    made = [await decide_as(service, INTERACTIVE, caller) for _ in range(3)]
    assert [one.denial is None for one in made] == [True, True, False]
    kept = await service.limits.find("dec_1")
    assert kept
    # So the ledger knows it as well.
    assert kept.call.priority is BATCH
    assert service.policy.documents[0]["call"]["priority"] == "batch"


async def test_a_limit_of_a_model_binds_calls_for_it_and_counts_no_others() -> None:
    service = Service()
    caller = limited(ON_MINI, SMALL)
    assert (await service.decide(model="sonnet", caller=caller)).denial is None
    assert await service.used(ON_MINI, SMALL) == [0, 0]
    assert (await service.decide(model="mini", caller=caller)).denial is None
    assert await service.used(ON_MINI, SMALL) == [1, 1]
    assert (await service.decide(model="both", caller=caller)).denial is None
    assert await service.used(ON_MINI, SMALL) == [1, 2]
    for model, named in (("mini", "the model mini"), ("both", "the model group small")):
        refused = await service.decide(model=model, caller=caller)
        assert refused_with(refused) == (429, "rate_limit_exceeded")
        assert refused.denial
        assert named in refused.denial.body["error"]["message"]
    assert (await service.decide(model="sonnet", caller=caller)).denial is None


async def test_a_raise_holds_from_its_beginning_to_its_end() -> None:
    service = Service()
    hour = (NOON + timedelta(minutes=1), NOON + timedelta(minutes=2))
    once = replace(requests(1), raises=(Raise(Decimal(1), *hour),))
    caller = limited(once)

    async def admitted() -> int:
        made = [await service.decide(caller=caller) for _ in range(3)]
        return sum(one.denial is None for one in made)

    assert await admitted() == 1
    service.clock.advance(90)
    assert await admitted() == 2
    service.clock.advance(90)
    assert await admitted() == 1


async def test_the_reservation_has_exactly_the_limits_that_the_call_met() -> None:
    service = Service()
    await decide_as(service, BATCH, limited(KEEPING, ON_MINI, replace(ON_MINI, models=("o1",))))
    kept = await service.limits.find("dec_1")
    assert kept
    assert [(one.scope, one.amount) for one in kept.caller.limits] == [("", 2), ("model:mini", 1)]


@pytest.mark.parametrize(("similarity", "kept_too"), [(None, []), (0.9, ["model:o1"])])
async def test_what_binds_an_embedding_of_the_question_is_kept_where_one_may_be_made(
    similarity: float | None, kept_too: list[str]
) -> None:
    service = Service()
    caller = limited(ON_MINI, replace(ON_MINI, scope="model:o1", models=("o1",)))
    route = RouteOptions(similarity=similarity)
    await service.decider().decide(DecisionRequest(caller, chat_call(chat_body()), route=route))
    kept = await service.limits.find("dec_1")
    assert kept
    assert [one.scope for one in kept.unmet] == kept_too


async def test_calls_under_way_are_counted_until_they_have_ended() -> None:
    service = Service()
    caller = limited(Limit("team:search", Measure.CONCURRENT_REQUESTS, Decimal(1)))
    first = await service.decide(caller=caller)
    refused = await service.decide(caller=caller)
    assert refused_with(refused) == (429, "rate_limit_exceeded")
    assert refused.denial
    assert refused.denial.headers["retry-after"] == "1"
    nothing = Amounts(requests=1, input_tokens=0, output_tokens=0, usd=Decimal(0))
    await service.limits.settle(first.decision_id, nothing, b"{}", service.clock())
    assert (await service.decide(caller=caller)).denial is None


async def test_policy_sees_money_and_tokens_that_last_and_no_window_of_a_minute() -> None:
    service = Service()
    per_day = Limit("key:key-1", Measure.TOKENS_PER_DAY, Decimal(10_000))
    other = replace(per_day, scope="model:sonnet", models=("sonnet",))
    await service.decide(caller=limited(requests(5), per_day, budget("10"), other))
    [document] = service.policy.documents
    assert [(one["node"], one["measure"]) for one in document["budgets"]] == [
        ("key:key-1", "tokens_per_day"),
        ("team:search", "usd_per_month"),
    ]


async def test_money_that_policy_finds_spent_says_when_it_renews() -> None:
    service = Service(policy=FakePolicy(reasons=(Reason("budget_exhausted", "Spent.", "llm.b"),)))
    made = await service.decide(caller=limited(budget("0"), requests(5)))
    assert refused_with(made) == (429, "insufficient_quota")
    assert made.denial
    assert "It renews at 2026-12-01 00:00 UTC." in made.denial.body["error"]["message"]
    assert made.denial.headers["x-gatehouse-budget-remaining-usd"] == "0"
    assert made.denial.headers["x-should-retry"] == "false"


# --- what a key is good for


async def test_a_key_for_other_operations_is_refused_without_asking_policy() -> None:
    service = Service()
    caller = replace(CALLER, operations=(Operation.EMBEDDINGS,))
    made = await service.decide(caller=caller)
    assert refused_with(made) == (403, "policy_denied")
    assert made.denial
    error = made.denial.body["error"]
    assert "good for embeddings" in error["message"]
    assert error["reasons"][0]["code"] == "key_scope"
    assert service.policy.documents == []


@pytest.mark.parametrize(
    ("operations", "asked", "is_allowed"),
    [
        ((), Operation.MODELS, True),
        ((Operation.MODELS,), Operation.MODELS, True),
        ((Operation.CHAT_COMPLETIONS,), Operation.MODELS, False),
        ((Operation.CHAT_COMPLETIONS,), Operation.ME, True),
        ((Operation.CHAT_COMPLETIONS,), Operation.ME_USAGE, True),
    ],
)
async def test_the_list_of_models_is_an_operation_and_oneself_is_none(
    operations: tuple[Operation, ...], asked: Operation, is_allowed: bool
) -> None:
    request = DecisionRequest(replace(CALLER, operations=operations), Call(asked))
    made = await Service().decider().decide(request)
    assert (made.denial is None) is is_allowed


# --- who am I


async def test_a_caller_is_told_about_itself_without_a_reservation() -> None:
    service = Service(policy=FakePolicy(models=("mini",)))
    request = DecisionRequest(limited(requests(5)), Call(Operation.ME))
    made = await service.decider().decide(request)
    assert made.transport is Transport.ANSWER
    assert made.answer
    assert made.answer["models"] == ["mini"]
    assert made.answer["limits"][0]["remaining"] == "5"
    assert (made.ticket, made.deployments) == ("", ())
    assert made.headers["cache-control"] == "no-store"
    # Policy is asked which models there are, and knows of no operation that is about oneself.
    assert [one["call"]["operation"] for one in service.policy.documents] == ["models"]
    assert await service.limits.find(made.decision_id) is None
    assert await service.used(requests(5)) == [0]


async def test_who_may_list_no_models_is_told_about_itself_all_the_same() -> None:
    service = Service(policy=FakePolicy(reasons=(Reason("no", "No.", "llm.x"),)))
    made = await service.decider().decide(DecisionRequest(CALLER, Call(Operation.ME)))
    assert made.answer
    assert made.answer["models"] == []


async def test_a_caller_is_told_what_it_used() -> None:
    service = Service()
    made = await service.decider().decide(DecisionRequest(CALLER, Call(Operation.ME_USAGE)))
    assert made.answer
    assert made.answer["of"] == "key:key-1"
    assert service.policy.documents == []


async def test_where_nobody_can_tell_the_path_does_not_exist() -> None:
    decider = replace(Service().decider(), about=None)
    made = await decider.decide(DecisionRequest(CALLER, Call(Operation.ME)))
    assert refused_with(made) == (404, "not_found")


async def test_every_decision_has_an_id_of_its_own() -> None:
    service = Service()
    ids = [(await service.decide()).decision_id for _ in range(3)]
    assert ids == ["dec_1", "dec_2", "dec_3"]


async def test_a_decision_says_when_it_was_made() -> None:
    made = await Service().decide()
    assert made.issued_at == NOON


# --- ids that the plugin chose

OWN_ID = "dec_01kaf3v2000123456789abcdef"


async def test_a_decision_has_the_id_that_the_plugin_chose_so_that_it_can_take_it_back() -> None:
    service = Service()
    asked = DecisionRequest(CALLER, chat_call(chat_body()), OWN_ID)
    made = await service.decider().decide(asked)
    assert made.decision_id == OWN_ID
    assert TICKETS.decision_id(made.ticket, NOON) == OWN_ID
    assert await service.limits.find(OWN_ID)


@pytest.mark.parametrize("wrong", ["", "dec_1", "dec_", "x" * 30, f"{OWN_ID}.9", OWN_ID.upper()])
async def test_an_id_that_is_none_is_refused(wrong: str) -> None:
    """A ticket's parts are divided by dots, and rows are found by this id."""
    asked = DecisionRequest(CALLER, chat_call(chat_body()), wrong)
    with pytest.raises(MalformedRequest):
        await Service().decider().decide(asked)


async def test_an_id_is_decided_about_once() -> None:
    """A second try may come with another call, and must not get the first one's reservation."""
    service = Service()
    await service.decider().decide(DecisionRequest(CALLER, chat_call(chat_body()), OWN_ID))
    other = chat_call(chat_body(max_tokens=1))
    with pytest.raises(PolicyUnavailable, match="decided before"):
        await service.decider().decide(DecisionRequest(CALLER, other, OWN_ID))


# --- in which order, and which way

HALF_OPEN = DeploymentFacts(BreakerState.HALF_OPEN)
OPEN = DeploymentFacts(BreakerState.OPEN, opens_until=NOON + timedelta(seconds=5))


def with_model(*deployments: Deployment, **fields: Any) -> Service:
    """A service whose catalogue has the model `m`."""
    model = Model("m", deployments, **{k: fields.pop(k) for k in ("strategy",) if k in fields})
    return Service(catalogue=Catalogue([model]), **fields)


def ids(made: Decision) -> list[str]:
    assert made.denial is None, made.denial
    return [priced.deployment.id for priced in made.deployments]


async def test_what_is_kept_has_the_order_that_was_decided() -> None:
    service = with_model(OPENAI, AZURE, strategy=Strategy.WEIGHTED, draws=(0.9, 0.1))
    made = await service.decide(model="m")
    assert ids(made) == ["azure-mini", "openai-mini"]
    kept = await service.limits.find(made.decision_id)
    assert kept
    assert kept.deployments == made.deployments


async def test_a_deployment_that_fails_comes_last_and_is_still_reserved_for() -> None:
    service = with_model(
        CLAUDE,
        OPENAI,
        health=KnownHealth({CLAUDE.id: OPEN}),
        prices=FakePrices(anthropic=DEAR),
    )
    made = await service.decide(model="m", n=1, caller=limited(budget("10")))
    assert ids(made) == [OPENAI.id, CLAUDE.id]
    assert await service.used(budget("10")) == [Decimal("0.0214")]


async def test_a_half_open_deployment_is_tried_first_by_a_share_of_the_calls() -> None:
    service = with_model(OPENAI, AZURE, health=KnownHealth({AZURE.id: HALF_OPEN}), draws=(0.0,))
    made = await service.decide(model="m")
    assert ids(made) == [AZURE.id, OPENAI.id]
    assert made.transport is Transport.RELAY


async def test_fallback_never_reaches_what_policy_does_not_permit() -> None:
    service = with_model(
        OPENAI,
        AZURE,
        CLAUDE,
        policy=FakePolicy(permitted=(CLAUDE.id, OPENAI.id)),
        health=KnownHealth({OPENAI.id: OPEN, CLAUDE.id: OPEN}),
    )
    assert set(ids(await service.decide(model="m"))) == {OPENAI.id, CLAUDE.id}


SIGNED = replace(OPENAI, auth=Auth.AWS_SIGV4)


@pytest.mark.parametrize(
    ("deployments", "known", "way"),
    [
        ([OPENAI], {}, Transport.DIRECT),
        # The relay asks before it tries one that may not be well, and Kong cannot.
        ([OPENAI], {OPENAI.id: HALF_OPEN}, Transport.RELAY),
        ([OPENAI], {OPENAI.id: OPEN}, Transport.RELAY),
        # Nobody would go to an open one, so there is nothing to fail over to.
        ([OPENAI, AZURE], {AZURE.id: OPEN}, Transport.DIRECT),
        ([OPENAI, AZURE], {OPENAI.id: OPEN}, Transport.DIRECT),
        ([OPENAI, AZURE], {OPENAI.id: OPEN, AZURE.id: OPEN}, Transport.RELAY),
        ([OPENAI, AZURE], {AZURE.id: HALF_OPEN}, Transport.RELAY),
        ([OPENAI, AZURE], {}, Transport.RELAY),
        # Kong cannot sign.
        ([SIGNED], {}, Transport.RELAY),
        ([SIGNED, AZURE], {AZURE.id: OPEN}, Transport.RELAY),
    ],
)
async def test_a_call_goes_direct_only_to_the_one_healthy_deployment(
    deployments: list[Deployment], known: dict[str, DeploymentFacts], way: Transport
) -> None:
    service = with_model(*deployments, health=KnownHealth(known), draws=(0.99,))
    made = await service.decide(model="m")
    assert made.transport is way
    if way is Transport.DIRECT:
        assert known.get(made.deployments[0].deployment.id) is None


# --- what a deployment can do

BLIND = replace(OPENAI, can_use_tools=False)


def asking_for_tools(caller: Caller = CALLER) -> DecisionRequest:
    return DecisionRequest(caller, replace(chat_call(chat_body(model="m")), has_tools=True))


async def test_one_that_cannot_serve_the_call_is_left_out_of_order_and_worst_case() -> None:
    dear_and_blind = replace(CLAUDE, can_use_tools=False)
    service = with_model(dear_and_blind, OPENAI, prices=FakePrices(anthropic=DEAR))
    made = await service.decider().decide(asking_for_tools(limited(budget("10"))))
    assert ids(made) == [OPENAI.id]
    assert made.transport is Transport.DIRECT
    assert await service.used(budget("10")) == [Decimal("0.00021")]


async def test_when_none_can_serve_the_call_it_is_refused_and_nothing_is_reserved() -> None:
    service = with_model(BLIND)
    made = await service.decider().decide(asking_for_tools(limited(requests(5))))
    assert refused_with(made) == (400, "unsupported_parameter")
    assert made.denial
    assert made.denial.body["error"]["param"] == "tools"
    assert "openai" in made.denial.body["error"]["message"]
    assert made.policy_revision == "rev-7"
    assert await service.used(requests(5)) == [0]


async def test_policy_is_asked_about_every_deployment_before_anybody_learns_what_it_can_do() -> (
    None
):
    reason = Reason("model_not_allowed", "Not this one.", "llm.models")
    service = with_model(BLIND, AZURE, policy=FakePolicy(reasons=(reason,)))
    made = await service.decider().decide(asking_for_tools())
    assert refused_with(made) == (403, "policy_denied")
    [document] = service.policy.documents
    assert [one["id"] for one in document["candidates"]] == [OPENAI.id, AZURE.id]
