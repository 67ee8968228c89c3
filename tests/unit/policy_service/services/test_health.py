import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta

import msgspec

from llm_core.catalogue import Catalogue, Deployment, Model
from llm_core.routing.breaker import BreakerRules
from llm_core.routing.facts import BreakerState, DeploymentFacts, Observation
from policy_service.adapters.memory_health import MemoryHealth
from policy_service.services.health import HealthChecks, providers_health
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.known_health import KnownHealth
from tests.fakes.samples import AZURE, CLAUDE, OPENAI

WATCHED = replace(OPENAI, is_probed=True)
CATALOGUE = Catalogue([Model("one", (WATCHED, AZURE)), Model("two", (CLAUDE, WATCHED))])


@dataclass
class FakeProbe:
    """Implements `Probe`."""

    is_up: bool = True
    asked: list[str] = field(default_factory=list)

    async def ask(self, deployment: Deployment) -> Observation:
        self.asked.append(deployment.id)
        return Observation(deployment.id, is_failure=not self.is_up)

    async def close(self) -> None:
        """Nothing to let go of."""


@dataclass
class Checking:
    """Checks with real breakers."""

    clock: FakeClock = field(default_factory=FakeClock)
    probe: FakeProbe = field(default_factory=FakeProbe)

    def __post_init__(self) -> None:
        rules = BreakerRules(failures_in_a_row=2, open_s=5)
        self.health = MemoryHealth(rules, self.clock)
        self.checks = HealthChecks(CATALOGUE, self.health, self.probe, interval_s=30)

    @property
    def breaker(self) -> BreakerState:
        return self.health.facts(WATCHED.id).breaker


async def test_only_those_that_wish_it_are_asked_and_each_once_a_round() -> None:
    checking = Checking()
    await checking.checks.check_once()
    assert checking.probe.asked == [WATCHED.id]


async def test_one_that_calls_went_to_since_the_last_round_is_not_asked() -> None:
    checking = Checking()
    for _ in range(3):
        checking.health.observe(Observation(WATCHED.id, False, time_to_first_token_ms=5))
        await checking.checks.check_once()
    assert checking.probe.asked == []
    await checking.checks.check_once()
    assert checking.probe.asked == [WATCHED.id]


async def test_failed_checks_open_the_breaker_and_an_open_one_is_left_alone() -> None:
    checking = Checking(probe=FakeProbe(is_up=False))
    for _ in range(4):
        await checking.checks.check_once()
    assert checking.breaker is BreakerState.OPEN
    assert len(checking.probe.asked) == 2


async def test_a_good_check_closes_a_half_open_breaker_without_a_callers_call() -> None:
    checking = Checking(probe=FakeProbe(is_up=False))
    for _ in range(2):
        await checking.checks.check_once()
    checking.clock.advance(5)
    checking.probe.is_up = True
    await checking.checks.check_once()
    assert checking.breaker is BreakerState.CLOSED
    # It is up; how fast it answers, nobody knows.
    assert checking.health.facts(WATCHED.id).time_to_first_token_ms is None


async def test_a_trial_that_a_call_has_begun_is_not_disturbed() -> None:
    checking = Checking(probe=FakeProbe(is_up=False))
    for _ in range(2):
        await checking.checks.check_once()
    checking.clock.advance(5)
    assert await checking.health.may_try(WATCHED.id)
    await checking.checks.check_once()
    assert len(checking.probe.asked) == 2


async def test_a_fault_in_one_check_ends_neither_the_round_nor_the_checks() -> None:
    class Faulty(FakeProbe):
        async def ask(self, deployment: Deployment) -> Observation:
            if not self.asked:
                self.asked.append("faulty")
                raise ValueError("boom")
            return await super().ask(deployment)

    checking = Checking(probe=Faulty())
    checks = replace(checking.checks, interval_s=0)
    running = asyncio.create_task(checks.run())
    async with asyncio.timeout(10):
        while WATCHED.id not in checking.probe.asked:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_every_deployment_is_told_once_with_its_names_and_no_secrets() -> None:
    until = NOON + timedelta(seconds=5)
    health = KnownHealth(
        {
            AZURE.id: DeploymentFacts(BreakerState.OPEN, until),
            CLAUDE.id: DeploymentFacts(
                time_to_first_token_ms=123.456, tokens_per_s=78.91, samples=7
            ),
        }
    )
    told = providers_health(CATALOGUE, health)
    assert [one.deployment_id for one in told.deployments] == [WATCHED.id, AZURE.id, CLAUDE.id]
    watched, azure, claude = told.deployments
    assert watched.models == ("one", "two")
    assert watched.is_probed
    assert (azure.breaker, azure.opens_until, azure.region) == (BreakerState.OPEN, until, "eu")
    figures = (claude.time_to_first_token_ms, claude.tokens_per_s, claude.samples)
    assert figures == (123.5, 78.9, 7)
    text = msgspec.json.encode(told).decode()
    for secret in ("credential", "https://", ".test"):
        assert secret not in text
