"""Ten thousand random calls over random catalogues, policies and faults.

Whatever providers do, nobody outside the decision is called, nobody is called more often than the
route allows, and every call is settled exactly once, never above what was reserved.
"""

import asyncio
import random
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from llm_core.catalogue import Catalogue, Deployment, Model, ProviderKind, Strategy
from llm_core.errors import GatewayError
from llm_core.policy.decision import Decision, DecisionRequest, Obligations
from llm_core.policy.limits import Limit, Measure
from llm_core.policy.route import OnClientGone, RouteOptions
from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.ports.ledger import UsageRow
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
from tests.fakes.policy import FakePolicy
from tests.fakes.random_providers import OnePrice, RandomProviders, some_of
from tests.fakes.samples import (
    CALLER,
    SECRETS,
    chat_body,
    chat_call,
)

N_CASES = 10_000
N_SEEDS = 10
LIMITS = (
    Limit("team:search", Measure.REQUESTS_PER_MINUTE, Decimal(10**9)),
    Limit("team:search", Measure.TOKENS_PER_MINUTE, Decimal(10**9)),
    Limit("team:search", Measure.USD_PER_MONTH, Decimal(10**6)),
)
TICKETS = Tickets("ticket-secret-0123456789")
BODIES = {streams: chat_body(stream=streams, max_tokens=10) for streams in (False, True)}
CALLS = {streams: chat_call(body, prompt_tokens=20) for streams, body in BODIES.items()}
KINDS = (ProviderKind.OPENAI, ProviderKind.AZURE_OPENAI, ProviderKind.ANTHROPIC)


@dataclass
class World:
    """One service, and everything that may become of its calls."""

    chance: random.Random
    limits: MemoryLimitsStore = field(default_factory=MemoryLimitsStore)
    clock: FakeClock = field(default_factory=FakeClock)
    health: FakeHealth = field(default_factory=FakeHealth)
    is_done: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.providers = RandomProviders(self.chance)
        self.reserving = Reserving(self.limits, FakeLedger())
        self.relay = Relay(
            limits=self.limits,
            reach=Reach(self.providers, FakeCredentials(SECRETS), self.health, self.clock, 60.0),
            settler=Settler(self.limits, self.reserving, self.clock),
            tickets=TICKETS,
            clock=self.clock,
            count=lambda text: len(text.split()),
            lease_s=300,
        )

    async def case(self, number: int) -> None:
        """One call, from its decision to its booking."""
        chance = self.chance
        deployments = self._catalogue()
        ids = [deployment.id for deployment in deployments]
        permitted = frozenset(chance.sample(ids, chance.randint(0, len(ids))))
        self.health.resting_s = {one: 9.0 for one in ids if chance.random() < 0.1}
        self.health.observed.clear()
        self.providers.asked.clear()
        route = RouteOptions(
            on_client_gone=chance.choice(list(OnClientGone)), most_tries=chance.randint(1, 4)
        )
        streams = chance.random() < 0.5
        decision = await self._decide(number, deployments, permitted, route, streams)
        if decision.denial is None:
            await self._relayed(decision, streams)
            await self._check_row(decision, number)
        self._check_asked(permitted, route)

    async def _relayed(self, decision: Decision, streams: bool) -> None:
        serving = asyncio.ensure_future(self.relay.serve(decision.ticket, BODIES[streams]))
        if self.chance.random() < 0.1:
            for _ in range(self.chance.randint(1, 20)):
                await asyncio.sleep(0)
            serving.cancel()
        try:
            answer = await serving
        except (GatewayError, RuntimeError, asyncio.CancelledError):
            return
        if isinstance(answer, StreamedAnswer):
            await some_of(answer.events, self.chance.choice([0, 1, 2, 99]))

    async def _decide(
        self,
        number: int,
        deployments: tuple[Deployment, ...],
        permitted: frozenset[str],
        route: RouteOptions,
        streams: bool,
    ) -> Decision:
        decider = Decider(
            catalogue=Catalogue(
                [Model("mini", deployments, strategy=self.chance.choice(list(Strategy)))]
            ),
            prices=OnePrice(),
            policy=RandomPolicy(permitted),
            limits=self.limits,
            reserving=self.reserving,
            tickets=TICKETS,
            clock=self.clock,
            health=self.health,
            draw=self.chance.random,
            ticket_ttl_s=30,
            lease_s=300,
            make_id=lambda kind: f"{kind}_{number}",
        )
        caller = replace(CALLER, limits=LIMITS)
        return await decider.decide(DecisionRequest(caller, CALLS[streams], route=route))

    async def _check_row(self, decision: Decision, number: int) -> None:
        await self.relay.drain()
        [queued] = await self.limits.take_rows(100, 0)
        await self.limits.acknowledge([queued])
        row = msgspec.json.decode(queued.row, type=UsageRow)
        assert row.decision_id == decision.decision_id == f"dec_{number}"
        decided = {priced.deployment.id for priced in decision.deployments}
        assert row.deployment_id is None or row.deployment_id in decided
        reservation = await self.limits.find(decision.decision_id)
        assert reservation is not None
        assert row.usd <= reservation.usd
        assert set(self.providers.asked) <= decided
        assert all(answer.is_closed for answer in self.providers.answers)
        self.providers.answers.clear()
        self.is_done[row.decision_id] = row.error_class

    def _check_asked(self, permitted: frozenset[str], route: RouteOptions) -> None:
        asked = self.providers.asked
        assert set(asked) <= permitted
        assert not set(asked) & set(self.health.resting_s)
        assert len(asked) <= route.most_tries
        # Twice only one that asked for no wait, when there was no other.
        assert len(asked) <= len(set(asked)) + 1

    def _catalogue(self) -> tuple[Deployment, ...]:
        return tuple(self._deployment(number) for number in range(self.chance.randint(1, 5)))

    def _deployment(self, number: int) -> Deployment:
        kind = self.chance.choice(KINDS)
        name = f"{kind.value.replace('_', '-')}-{number}"
        return Deployment(
            name, kind, "m", f"https://{name}.test", credential=kind.value, max_output_tokens=50
        )


class RandomPolicy(FakePolicy):
    """Permits some of them."""

    def __init__(self, permitted: frozenset[str]) -> None:
        super().__init__(permitted=tuple(sorted(permitted)))

    async def evaluate(self, document: dict[str, Any]) -> Any:
        """In the candidates' order; nobody permitted is a no."""
        said = await super().evaluate(document)
        return replace(said, allow=bool(said.permitted), obligations=Obligations())


@pytest.mark.parametrize("seed", range(N_SEEDS))
async def test_nobody_outside_the_decision_is_called_and_each_call_is_settled_once(
    seed: int,
) -> None:
    world = World(random.Random(seed))
    for number in range(N_CASES // N_SEEDS):
        await world.case(number)
    # Nothing stays reserved, and nothing was booked beside its call.
    assert await world.limits.take_rows(1, 0) == ()
    assert await world.limits.overdue(world.clock().replace(year=2030), 1) == ()
    assert {"none", "client_gone", "timeout", "unreachable", "provider"} <= set(
        world.is_done.values()
    )
