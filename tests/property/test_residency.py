"""Ten thousand random calls, most of them with data that may not leave the EU, by the real policy.

Whatever the catalogue, the faults, the breakers and the cache: what is labelled so reaches no
deployment outside of the EU, by no way and no fallback.
"""

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from llm_core.catalogue import Catalogue, Deployment, Model, ProviderKind, Strategy
from llm_core.errors import GatewayError
from llm_core.policy.call import Call
from llm_core.policy.decision import Decision, DecisionRequest, Transport
from llm_core.policy.route import RouteOptions
from policy_service.adapters.memory_cache import MemoryCache
from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.adapters.policy_bundle import PolicyBundle, load_bundle
from policy_service.adapters.regopy_policy import RegopyPolicy
from policy_service.ports.policy import PolicyEngine
from policy_service.services.answer_cache import AnswerCache
from policy_service.services.decide import Decider
from policy_service.services.reach import Reach
from policy_service.services.relay import Relay, StreamedAnswer
from policy_service.services.reserving import Reserving
from policy_service.services.settle import Settler
from policy_service.services.tickets import Tickets
from tests.fakes.clock import FakeClock
from tests.fakes.credentials import FakeCredentials
from tests.fakes.health import FakeHealth
from tests.fakes.ledger import FakeLedger
from tests.fakes.random_providers import OnePrice, RandomProviders, some_of
from tests.fakes.samples import CALLER, SECRETS, chat_body, chat_call

N_CASES = 10_000
N_SEEDS = 10
REGO = Path(__file__).parents[2] / "rego"
TICKETS = Tickets("ticket-secret-0123456789")
BODIES = {
    (words, streams): chat_body(
        messages=[{"role": "user", "content": words}], stream=streams, max_tokens=10
    )
    for words in ("hello", "hello again", "and again")
    for streams in (False, True)
}
CALLS = {which: chat_call(body, prompt_tokens=20) for which, body in BODIES.items()}
KINDS = (ProviderKind.OPENAI, ProviderKind.AZURE_OPENAI, ProviderKind.ANTHROPIC)
EU = frozenset({"eu", "eu-west-1", "westeurope"})
REGIONS = (*EU, "us", "us-east-1", "unknown", "EU", "eu-west-1.example", "")
EU_LABELS = (("personal",), ("confidential",), ("eu-only",), ("public", "personal"), ("eu-only",))
FREE_LABELS = ((), ("public",))


def _policy() -> PolicyBundle:
    """The shipped rules and lists, with labels, and with the cache on for everybody."""
    bundle = load_bundle(REGO)
    lists = bundle.data["data"]
    classes = {
        **lists["data_classes"],
        "labels": {"personal": "confidential", "eu-only": "public"},
        "clearance_from": None,
    }
    residency = {**lists["residency"], "labels": {"eu-only": ["eu"]}}
    default = {
        **lists["places"]["default"],
        "cache": {"seconds": 600, "scope": "organisation"},
    }
    places = {**lists["places"], "default": default}
    changed = {**lists, "data_classes": classes, "residency": residency, "places": places}
    return PolicyBundle(bundle.modules, {"data": changed}, bundle.revision, digest="")


@pytest.fixture
async def policy() -> AsyncIterator[RegopyPolicy]:
    engine = RegopyPolicy(_policy())
    yield engine
    await engine.close()


@dataclass
class World:
    """One service with a cache, and where its calls have gone."""

    chance: random.Random
    policy: PolicyEngine
    limits: MemoryLimitsStore = field(default_factory=MemoryLimitsStore)
    clock: FakeClock = field(default_factory=FakeClock)
    health: FakeHealth = field(default_factory=FakeHealth)
    seen: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.providers = RandomProviders(self.chance)
        self.reserving = Reserving(self.limits, FakeLedger())
        settler = Settler(self.limits, self.reserving, self.clock)
        self.answers = AnswerCache(MemoryCache(10**7), settler, 10**6, 0.01)
        self.relay = Relay(
            limits=self.limits,
            reach=Reach(self.providers, FakeCredentials(SECRETS), self.health, self.clock, 60.0),
            settler=settler,
            tickets=TICKETS,
            clock=self.clock,
            count=lambda text: len(text.split()),
            lease_s=300,
            answers=self.answers,
        )

    async def case(self, number: int) -> None:
        """One call, to wherever it goes."""
        chance = self.chance
        deployments = tuple(self._deployment(place) for place in range(chance.randint(1, 5)))
        in_eu = {one.id for one in deployments if one.region in EU}
        self.health.resting_s = {one.id: 9.0 for one in deployments if chance.random() < 0.2}
        self.providers.asked.clear()
        must_stay = chance.random() < 0.8
        labels = chance.choice(EU_LABELS if must_stay else FREE_LABELS)
        which = chance.choice(list(BODIES))
        is_cached = chance.random() < 0.7
        call = replace(
            CALLS[which], data_labels=labels, reads_cache=is_cached, fills_cache=is_cached
        )
        decision = await self._decide(number, deployments, call)
        reached = {one.deployment.id for one in decision.deployments}
        if decision.denial is None and decision.transport is Transport.RELAY:
            await self._relayed(decision, BODIES[which])
            reached |= set(self.providers.asked)
        if must_stay:
            assert reached <= in_eu
            assert decision.denial is not None or in_eu
        elif reached - in_eu:
            self.seen.add("left the EU without a label")
        self._note(decision)

    def _note(self, decision: Decision) -> None:
        how = "denied" if decision.denial else decision.transport.value
        self.seen.add(how)
        if len(self.providers.asked) > 1:
            self.seen.add("fell back")

    async def _relayed(self, decision: Decision, body: bytes) -> None:
        try:
            answer = await self.relay.serve(decision.ticket, body)
            if isinstance(answer, StreamedAnswer):
                await some_of(answer.events, self.chance.choice([1, 99]))
        except (GatewayError, RuntimeError):
            return
        finally:
            await self.relay.drain()

    async def _decide(
        self, number: int, deployments: tuple[Deployment, ...], call: Call
    ) -> Decision:
        decider = Decider(
            catalogue=Catalogue(
                [Model("mini", deployments, strategy=self.chance.choice(list(Strategy)))]
            ),
            prices=OnePrice(),
            policy=self.policy,
            limits=self.limits,
            reserving=self.reserving,
            tickets=TICKETS,
            clock=self.clock,
            health=self.health,
            draw=self.chance.random,
            ticket_ttl_s=30,
            lease_s=300,
            answers=self.answers,
            make_id=lambda kind: f"{kind}_{number}",
        )
        route = RouteOptions(most_tries=self.chance.randint(1, 4))
        return await decider.decide(DecisionRequest(CALLER, call, route=route))

    def _deployment(self, number: int) -> Deployment:
        kind = self.chance.choice(KINDS)
        name = f"{kind.value.replace('_', '-')}-{number}"
        region = self.chance.choice(REGIONS)
        return Deployment(
            name,
            kind,
            "m",
            f"https://{name}.test",
            region=region,
            credential=kind.value,
            max_output_tokens=50,
        )


@pytest.mark.parametrize("seed", range(N_SEEDS))
async def test_what_may_not_leave_the_eu_reaches_no_deployment_outside(
    seed: int, policy: RegopyPolicy
) -> None:
    world = World(random.Random(seed), policy)
    for number in range(N_CASES // N_SEEDS):
        await world.case(number)
    assert world.seen == {
        "answer",
        "denied",
        "direct",
        "relay",
        "fell back",
        "left the EU without a label",
    }
