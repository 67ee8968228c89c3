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
from llm_core.policy.limits import Limit, Measure
from llm_core.pricing.charge import ModelPrice, Rates
from llm_core.routing.facts import BreakerState, DeploymentFacts
from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.ports.limits import Unprimed
from policy_service.services.decide import Decider
from policy_service.services.reserving import Reserving
from policy_service.services.tickets import Tickets
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.known_health import KnownHealth
from tests.fakes.ledger import FakeLedger
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
    service.ledger.spent = {"team:search": Decimal(4)}
    caller = limited(budget("10"), requests(5))
    await service.decide(model="mini", caller=caller)
    await service.limits.prime(budget("10"), Decimal(4), NOON)
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
    service.ledger.spent = {"team:search": Decimal("9.9999")}
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
    service.ledger.spent = {"team:search": Decimal(4)}
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
