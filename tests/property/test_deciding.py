"""Whatever policy permits, however deployments fare: nothing else is ever in the order."""

import random
from datetime import timedelta

from llm_core.catalogue import Catalogue, Deployment, Model, ProviderKind, Strategy
from llm_core.operation import OWN_OPERATIONS, Operation
from llm_core.policy.allowance import worst_case
from llm_core.policy.call import Call
from llm_core.policy.decision import Decision, DecisionRequest, Transport
from llm_core.routing.candidates import lack_of
from llm_core.routing.facts import BreakerState, DeploymentFacts
from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.services.decide import Decider
from policy_service.services.reserving import Reserving
from policy_service.services.tickets import Tickets
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.known_health import KnownHealth
from tests.fakes.ledger import FakeLedger
from tests.fakes.policy import FakePolicy
from tests.fakes.samples import CALLER, PRICE

CASES = 10_000


class OnePrice:
    """Implements `Prices`: everything costs the same."""

    def price(self, *_: object) -> object:
        return PRICE


def a_deployment(index: int, chance: random.Random) -> Deployment:
    return Deployment(
        f"d{index}",
        chance.choice([ProviderKind.OPENAI, ProviderKind.ANTHROPIC]),
        "m",
        f"https://d{index}.test",
        weight=chance.randint(0, 3),
        can_use_tools=chance.random() < 0.7,
        can_see_images=chance.random() < 0.7,
        can_follow_schema=chance.random() < 0.7,
        context_tokens=chance.choice([None, 4200, 8000]),
        operations=chance.choice([None, None, (Operation.EMBEDDINGS,), tuple(Operation)]),
    )


def some_facts(chance: random.Random) -> DeploymentFacts:
    return DeploymentFacts(
        chance.choice(list(BreakerState)),
        NOON + timedelta(seconds=chance.random()),
        chance.choice([None, 100 * chance.random() + 1]),
        chance.choice([None, 100 * chance.random() + 1]),
    )


def a_call(chance: random.Random) -> Call:
    return Call(
        chance.choice(sorted(frozenset(Operation) - OWN_OPERATIONS)),
        asked_model="m",
        is_streaming=chance.random() < 0.3,
        prompt_tokens=chance.choice([10, 1000]),
        has_tools=chance.random() < 0.3,
        has_images=chance.random() < 0.3,
        response_format=chance.choice(["text", "json_schema"]),
        affinity=chance.choice([None, str(chance.random())]),
    )


async def test_no_deployment_that_policy_forbids_or_that_cannot_serve_is_ever_in_the_order() -> (
    None
):
    chance = random.Random(20_261_120)
    clock, limits = FakeClock(), MemoryLimitsStore()
    allowed = 0
    for case in range(CASES):
        deployments = tuple(a_deployment(i, chance) for i in range(chance.randint(1, 5)))
        permitted = tuple(one.id for one in deployments if chance.random() < 0.6)
        health = KnownHealth({one.id: some_facts(chance) for one in deployments})
        model = Model("m", deployments, chance.choice(list(Strategy)), chance.random() < 0.5)
        decider = Decider(
            catalogue=Catalogue([model]),
            prices=OnePrice(),  # type: ignore[arg-type]
            policy=FakePolicy(permitted=permitted),
            limits=limits,
            reserving=Reserving(limits, FakeLedger()),
            tickets=Tickets("ticket-secret-0123456789"),
            clock=clock,
            health=health,
            draw=chance.random,
            ticket_ttl_s=30,
            lease_s=300,
            make_id=lambda kind, case=case: f"{kind}_{case}",  # type: ignore[misc]
        )
        call = a_call(chance)
        made = await decider.decide(DecisionRequest(CALLER, call))
        able = {
            one.id
            for one in deployments
            if one.id in permitted and lack_of(call, one, made.obligations) is None
        }
        assert (made.denial is None) is bool(able)
        if made.denial is not None:
            continue
        allowed += 1
        assert [one.deployment.id for one in made.deployments] == list(
            dict.fromkeys(one.deployment.id for one in made.deployments)
        )
        assert {one.deployment.id for one in made.deployments} == able
        kept = await limits.find(made.decision_id)
        assert kept
        assert kept.deployments == made.deployments
        assert kept.usd == worst_case(call, made.deployments, made.obligations).usd
        assert_direct_only_to_the_one_healthy(made, health)
    assert allowed > CASES / 10


def assert_direct_only_to_the_one_healthy(made: Decision, health: KnownHealth) -> None:
    if made.transport is Transport.DIRECT:
        first, *others = (health.facts(one.deployment.id).breaker for one in made.deployments)
        assert first is BreakerState.CLOSED
        assert set(others) <= {BreakerState.OPEN}
