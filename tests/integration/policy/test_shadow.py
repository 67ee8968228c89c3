"""The shadow: what it says is counted and listed, and it neither slows nor fails a decision."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from llm_core.errors import PolicyUnavailable
from policy_service.adapters.policies import shadow as shadowing
from policy_service.adapters.policies.shadow import Shadow
from policy_service.adapters.policies.stamp import stamped
from policy_service.adapters.policy_bundle import PolicyBundle, load_bundle
from policy_service.adapters.regopy_policy import RegopyPolicy
from policy_service.ports.policies import ShadowCount, ShadowDifference, Standing
from policy_service.ports.policy import PolicyResult
from tests.fakes.clock import FakeClock
from tests.fixtures.policies import BARRED, bar_model, policy_folder
from tests.fixtures.policy_inputs import CALLER, chat_input

AT = datetime(2026, 11, 29, 8, 30, tzinfo=UTC)
BARRED_CALL = chat_input(
    asked_model=BARRED, caller=replace(CALLER, allowed_models=("chat", BARRED))
)
KEY = (AT.replace(minute=0), "acme", "emea-sales")


@dataclass
class FakeStore:
    """What was counted; fails when told so."""

    counts: list[ShadowCount] = field(default_factory=list)
    differences: list[ShadowDifference] = field(default_factory=list)
    is_down: bool = False
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def standing(self) -> Standing:
        return Standing()

    async def tarball(self, digest: str) -> bytes:
        raise AssertionError(digest)

    async def count_shadow(
        self,
        run: int,
        counts: Sequence[ShadowCount],
        differences: Sequence[ShadowDifference],
    ) -> None:
        if self.is_down:
            raise PolicyUnavailable("The database is down.")
        self.counts += counts
        self.differences += differences
        self.came.set()

    async def until_evaluated(self, count: int) -> None:
        """Wait until so many were counted."""
        async with asyncio.timeout(10):
            while self.sums.evaluated < count:
                await self.came.wait()
                self.came.clear()

    @property
    def sums(self) -> ShadowCount:
        """All hours and teams, which a test has one of."""
        assert {(one.hour, one.organisation, one.team) for one in self.counts} <= {KEY}
        names = ("evaluated", "differing", "failed", "dropped")
        return ShadowCount(*KEY, *(sum(getattr(one, n) for one in self.counts) for n in names))


@pytest.fixture
def barring(tmp_path: Path) -> PolicyBundle:
    """A policy that bars a model."""
    folder = policy_folder(tmp_path / "barring")
    bar_model(folder)
    return stamped(load_bundle(folder))


@pytest.fixture
async def answers(bundle: PolicyBundle) -> list[tuple[dict[str, Any], PolicyResult]]:
    """Questions, and what the live policy says to them."""
    live = RegopyPolicy(bundle)
    asked = [chat_input(), BARRED_CALL, {}]
    try:
        return [(document, await live.evaluate(document)) for document in asked]
    finally:
        await live.close()


async def test_what_differs_is_counted_and_listed_with_both_answers(
    barring: PolicyBundle, answers: list[tuple[dict[str, Any], PolicyResult]]
) -> None:
    store = FakeStore()
    shadow = Shadow(store, FakeClock(AT))
    await shadow.serve(1, barring)
    assert shadow.revision == barring.revision
    running = asyncio.create_task(shadow.run())
    for document, result in answers[:2]:
        shadow.note(document, result)
    await store.until_evaluated(2)
    running.cancel()
    await shadow.close()
    assert store.sums == ShadowCount(*KEY, evaluated=2, differing=1)
    [difference] = store.differences
    assert difference.kinds == ("denied", "codes")
    assert (difference.asked_model, difference.team) == (BARRED, "emea-sales")
    assert difference.before["allow"]
    assert list(difference.after["codes"]) == ["model_barred"]


async def test_what_it_does_not_keep_up_with_is_dropped_and_counted(
    barring: PolicyBundle, answers: list[tuple[dict[str, Any], PolicyResult]]
) -> None:
    store = FakeStore()
    shadow = Shadow(store, FakeClock(AT))
    await shadow.serve(1, barring)
    asked = shadowing.MOST_WAITING + 40
    for _ in range(asked):
        shadow.note(*answers[0])  # nobody takes them
    await shadow.close()
    assert store.sums.dropped == 40


async def test_counts_wait_for_a_database_that_is_away(
    barring: PolicyBundle, answers: list[tuple[dict[str, Any], PolicyResult]]
) -> None:
    store = FakeStore(is_down=True)
    shadow = Shadow(store, FakeClock(AT))
    await shadow.serve(1, barring)
    running = asyncio.create_task(shadow.run())
    for _ in range(3):
        shadow.note(*answers[1])
    await asyncio.sleep(1.5)
    assert store.counts == []
    store.is_down = False
    await store.until_evaluated(3)
    running.cancel()
    await shadow.close()
    assert store.sums == ShadowCount(*KEY, evaluated=3, differing=3)
    assert len(store.differences) == 3


async def test_a_shadow_that_is_switched_off_counts_nothing(
    barring: PolicyBundle, answers: list[tuple[dict[str, Any], PolicyResult]]
) -> None:
    store = FakeStore()
    shadow = Shadow(store, FakeClock(AT))
    await shadow.serve(1, barring)
    await shadow.serve(2, None)
    shadow.note(*answers[0])
    await shadow.close()
    assert (shadow.revision, store.counts) == (None, [])
