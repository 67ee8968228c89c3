import asyncio
from datetime import datetime, timedelta
from itertools import count

import pytest

from llm_core.policy.limits import Amounts, Limit, Measure
from policy_service.ports.limits import LimitsStore, Refused, Reserved
from tests.fixtures.reservations import (
    after,
    amounts,
    limit_of,
    requests_limit,
    reservation,
    tokens_limit,
)

MILLISECOND = timedelta(milliseconds=1)
NUMBERS = count()


async def take(
    store: LimitsStore, limit: Limit, at: datetime, tokens: int = 1
) -> Reserved | Refused:
    asked = reservation(f"d{next(NUMBERS)}", [limit], at=at)
    answer = await store.reserve(asked, amounts(tokens), at)
    assert isinstance(answer, Reserved | Refused)
    return answer


async def test_there_is_no_burst_at_the_edge_of_a_minute(store: LimitsStore) -> None:
    """A counter that starts anew each minute lets twice the limit through around its start."""
    limit = requests_limit(1)
    assert isinstance(await take(store, limit, after(59.9)), Reserved)
    for seconds in (60.0, 61.0, 90.0, 119.0, 119.899):
        assert isinstance(await take(store, limit, after(seconds)), Refused), seconds
    assert isinstance(await take(store, limit, after(120.9)), Reserved)


@pytest.mark.parametrize("offset_s", [0.0, 0.001, 0.25, 0.999])
async def test_retry_after_is_exact_to_the_millisecond(store: LimitsStore, offset_s: float) -> None:
    limit = tokens_limit(100)
    for seconds, tokens in ((0, 40), (10, 30), (20.5, 30)):
        assert isinstance(await take(store, limit, after(seconds + offset_s), tokens), Reserved)
    for tokens in (1, 40, 41, 70, 71, 100):
        asked_at = after(30 + offset_s)
        answer = await take(store, limit, asked_at, tokens)
        assert isinstance(answer, Refused)
        assert answer.retry_after_s is not None
        fits_at = asked_at + timedelta(seconds=answer.retry_after_s)
        (before,) = await store.states([limit], fits_at - MILLISECOND)
        (then,) = await store.states([limit], fits_at)
        assert before.remaining < tokens <= then.remaining


async def test_the_call_passes_when_retry_after_said_and_not_a_millisecond_sooner(
    store: LimitsStore,
) -> None:
    limit = tokens_limit(100)
    assert isinstance(await take(store, limit, after(0.3), 60), Reserved)
    assert isinstance(await take(store, limit, after(7.7), 40), Reserved)
    refused = await take(store, limit, after(9), 61)
    assert isinstance(refused, Refused)
    assert refused.retry_after_s is not None
    fits_at = after(9) + timedelta(seconds=refused.retry_after_s)
    assert isinstance(await take(store, limit, fits_at - MILLISECOND, 61), Refused)
    assert isinstance(await take(store, limit, fits_at, 61), Reserved)


async def test_a_whole_second_waits_a_whole_minute(store: LimitsStore) -> None:
    limit = requests_limit(1)
    await take(store, limit, after(0))
    refused = await take(store, limit, after(0))
    assert isinstance(refused, Refused)
    assert refused.retry_after_s == 60.0


async def test_what_was_taken_frees_at_most_a_second_late(store: LimitsStore) -> None:
    limit = requests_limit(1)
    await take(store, limit, after(0.001))
    refused = await take(store, limit, after(1))
    assert isinstance(refused, Refused)
    assert refused.retry_after_s == 60.0


async def test_reset_is_the_moment_when_the_oldest_is_free(store: LimitsStore) -> None:
    limit = tokens_limit(100)
    assert [state.reset_s for state in await store.states([limit], after(0))] == [0.0]
    await take(store, limit, after(0), 10)
    await take(store, limit, after(5), 10)
    assert [state.reset_s for state in await store.states([limit], after(7))] == [53.0]
    assert [state.reset_s for state in await store.states([limit], after(61))] == [4.0]
    assert [state.reset_s for state in await store.states([limit], after(65))] == [0.0]


async def test_settling_lower_frees_tokens_at_once(store: LimitsStore) -> None:
    limit = tokens_limit(100)
    asked = reservation("d1", [limit])
    await store.reserve(asked, amounts(100), after(0))
    assert isinstance(await take(store, limit, after(1), 80), Refused)
    await store.settle("d1", amounts(20), b"{}", after(2))
    assert isinstance(await take(store, limit, after(2), 80), Reserved)


async def test_settling_higher_adds_tokens_where_they_were_reserved(store: LimitsStore) -> None:
    limit = tokens_limit(100)
    await store.reserve(reservation("d1", [limit]), amounts(10), after(0))
    await store.settle("d1", amounts(130), b"{}", after(30))
    (state,) = await store.states([limit], after(30))
    assert (state.used, state.reset_s) == (130, 30.0)
    (state,) = await store.states([limit], after(60))
    assert state.used == 0


async def test_tokens_that_nobody_expected_are_counted(store: LimitsStore) -> None:
    limit = tokens_limit(100)
    await store.reserve(reservation("d1", [limit], at=after(0.5)), amounts(0), after(0.5))
    await store.settle("d1", amounts(7), b"{}", after(30))
    (state,) = await store.states([limit], after(30))
    assert (state.used, state.reset_s) == (7, 31.0)


async def test_retry_after_goes_by_when_tokens_were_reserved_not_by_when_they_were_known(
    store: LimitsStore,
) -> None:
    limit = tokens_limit(100)
    await store.reserve(reservation("d1", [limit]), amounts(0), after(0))
    await take(store, limit, after(10), 60)
    await store.settle("d1", amounts(40), b"{}", after(11))
    refused = await take(store, limit, after(20), 40)
    assert isinstance(refused, Refused)
    assert refused.retry_after_s == 40.0


async def test_settling_after_the_window_has_passed_changes_no_later_one(
    store: LimitsStore,
) -> None:
    limit = tokens_limit(100)
    await store.reserve(reservation("d1", [limit]), amounts(90), after(0))
    await take(store, limit, after(60), 50)
    await store.settle("d1", amounts(1), b"{}", after(61))
    (state,) = await store.states([limit], after(61))
    assert state.used == 50


async def test_requests_stay_counted_whatever_became_of_them(store: LimitsStore) -> None:
    limit = requests_limit(1)
    await store.reserve(reservation("d1", [limit]), amounts(), after(0))
    await store.settle("d1", amounts(0, "0"), b"{}", after(1))
    (state,) = await store.states([limit], after(1))
    assert state.used == 1


async def test_a_process_with_a_slower_clock_does_not_open_the_window_early(
    store: LimitsStore,
) -> None:
    limit = requests_limit(2)
    await take(store, limit, after(3))
    await take(store, limit, after(1))  # at the same moment, by a clock that is 2 s slow
    assert isinstance(await take(store, limit, after(62)), Refused)
    (state,) = await store.states([limit], after(63))
    assert state.used == 0


@pytest.mark.parametrize(
    ("measure", "call"),
    [
        (Measure.TOKENS_PER_MINUTE, amounts(60, output_tokens=41)),
        (Measure.INPUT_TOKENS_PER_MINUTE, amounts(101)),
        (Measure.OUTPUT_TOKENS_PER_MINUTE, amounts(output_tokens=101)),
        (Measure.TOKENS_PER_MINUTE, amounts(21)),
    ],
)
async def test_five_calls_at_once_cannot_pass_more_tokens_than_allowed(
    store: LimitsStore, measure: Measure, call: Amounts
) -> None:
    limit = limit_of(measure, 100)
    answers = await asyncio.gather(
        *(store.reserve(reservation(f"d{i}", [limit]), call, after(0)) for i in range(5))
    )
    fit = 100 // call.tokens
    assert sum(isinstance(answer, Reserved) for answer in answers) == fit
    (state,) = await store.states([limit], after(0))
    assert state.used == fit * call.tokens


async def test_input_and_output_are_counted_apart_and_settled_apart(store: LimitsStore) -> None:
    limits = [
        limit_of(Measure.INPUT_TOKENS_PER_MINUTE, 100),
        limit_of(Measure.OUTPUT_TOKENS_PER_MINUTE, 100),
        limit_of(Measure.TOKENS_PER_MINUTE, 200),
    ]
    await store.reserve(reservation("d1", limits), amounts(90, output_tokens=80), after(0))
    assert [state.used for state in await store.states(limits, after(0))] == [90, 80, 170]
    await store.settle("d1", amounts(95, output_tokens=7), b"{}", after(1))
    assert [state.used for state in await store.states(limits, after(1))] == [95, 7, 102]
