"""What holds for health in one process and over several."""

import asyncio
from datetime import timedelta

from llm_core.routing.facts import UNKNOWN, BreakerState, Observation
from policy_service.ports.providers import Health
from tests.fakes.clock import NOON
from tests.fixtures.health_pair import HealthPair

FAILED = Observation("d", is_failure=True)
GOOD = Observation("d", is_failure=False, time_to_first_token_ms=100, tokens_per_s=50)


async def break_it(pair: HealthPair) -> None:
    """Three failures in a row, seen by both."""
    for health in (pair.one, pair.other, pair.one):
        health.observe(FAILED)
    await pair.share()


async def may_try_all(*healths: Health) -> list[bool]:
    return list(await asyncio.gather(*(one.may_try("d") for one in healths for _ in range(5))))


async def test_nobody_called_is_unknown_and_may_be_tried(pair: HealthPair) -> None:
    await pair.share()
    assert pair.one.facts("d") == UNKNOWN
    assert await pair.one.may_try("d")


async def test_what_one_sees_counts_there_at_once(pair: HealthPair) -> None:
    for _ in range(3):
        pair.one.observe(FAILED)
    assert pair.one.facts("d").breaker is BreakerState.OPEN
    assert not await pair.one.may_try("d")


async def test_failures_that_both_saw_open_the_breaker_for_both(pair: HealthPair) -> None:
    await break_it(pair)
    for health in (pair.one, pair.other):
        assert health.facts("d").breaker is BreakerState.OPEN
        assert health.facts("d").opens_until == NOON + timedelta(seconds=5)
    assert not any(await may_try_all(pair.one, pair.other))


async def test_deployments_do_not_share_a_breaker(pair: HealthPair) -> None:
    await break_it(pair)
    assert pair.other.facts("e") == UNKNOWN


async def test_averages_are_of_all_calls_together(pair: HealthPair) -> None:
    pair.one.observe(GOOD)
    pair.other.observe(Observation("d", is_failure=False, time_to_first_token_ms=200))
    await pair.share()
    first, second = pair.one.facts("d"), pair.other.facts("d")
    assert first == second
    assert first.samples == 2
    assert first.tokens_per_s == 50
    assert first.time_to_first_token_ms in (120, 180)


async def test_half_open_one_call_at_a_time_is_let_through(pair: HealthPair) -> None:
    await break_it(pair)
    pair.clock.advance(5)
    assert pair.other.facts("d").breaker is BreakerState.HALF_OPEN
    assert sum(await may_try_all(pair.one, pair.other)) == 1
    assert not any(await may_try_all(pair.one, pair.other))


async def test_a_good_trial_closes_it_for_both(pair: HealthPair) -> None:
    await break_it(pair)
    pair.clock.advance(5)
    assert await pair.one.may_try("d")
    pair.one.observe(GOOD)
    await pair.share()
    assert all(await may_try_all(pair.one, pair.other))
    assert pair.other.facts("d").breaker is BreakerState.CLOSED


async def test_a_failed_trial_opens_it_for_both_and_the_next_one_waits_longer(
    pair: HealthPair,
) -> None:
    await break_it(pair)
    pair.clock.advance(5)
    assert await pair.other.may_try("d")
    pair.other.observe(FAILED)
    await pair.share()
    pair.clock.advance(9)
    assert not any(await may_try_all(pair.one, pair.other))
    pair.clock.advance(1)
    assert sum(await may_try_all(pair.one, pair.other)) == 1


async def test_a_providers_wish_to_be_left_alone_is_shared(pair: HealthPair) -> None:
    pair.one.observe(Observation("d", is_failure=False, retry_after_s=20))
    await pair.share()
    assert pair.other.facts("d").opens_until == NOON + timedelta(seconds=20)
