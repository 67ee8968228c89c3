import asyncio

import pytest

from llm_core.policy.limits import Limit, Measure
from policy_service.ports.limits import LimitsStore, Refused, Reserved
from tests.fixtures.reservations import NOW, after, amounts, limit_of, reservation


def at_once(amount: int) -> Limit:
    return limit_of(Measure.CONCURRENT_REQUESTS, amount)


async def begin(
    store: LimitsStore, name: str, limit: Limit, at_s: float = 0, lease_s: float = 10
) -> Reserved | Refused:
    asked = reservation(name, [limit], at=after(at_s), lease_s=lease_s)
    answer = await store.reserve(asked, amounts(), after(at_s))
    assert isinstance(answer, Reserved | Refused)
    return answer


async def used(store: LimitsStore, at_s: float) -> int:
    (state,) = await store.states([at_once(9)], after(at_s))
    return int(state.used)


async def test_no_more_calls_are_under_way_than_allowed(store: LimitsStore) -> None:
    limit = at_once(3)
    answers = await asyncio.gather(*(begin(store, f"d{i}", limit) for i in range(50)))
    assert sum(isinstance(answer, Reserved) for answer in answers) == 3
    assert await used(store, 0) == 3


@pytest.mark.parametrize("end", ["settle", "expire", "lease"])
async def test_a_call_that_ends_frees_its_place(store: LimitsStore, end: str) -> None:
    """The end of the lease alone frees it: no sweeper need run."""
    limit = at_once(1)
    await begin(store, "d1", limit)
    at_s = 1 if end == "settle" else 10
    if end == "settle":
        await store.settle("d1", amounts(), b"row", after(1))
    if end == "expire":
        assert await store.expire("d1", b"row", after(10))
    assert await used(store, at_s) == 0
    assert isinstance(await begin(store, "d2", limit, at_s), Reserved)
    assert isinstance(await begin(store, "d3", limit, at_s), Refused)


async def test_a_late_end_of_one_call_frees_no_place_of_another(store: LimitsStore) -> None:
    limit = at_once(1)
    await begin(store, "d1", limit)
    await begin(store, "d2", limit, 10)
    await store.settle("d1", amounts(), b"row", after(11))
    await store.expire("d1", b"row", after(11))
    assert isinstance(await begin(store, "d3", limit, 11), Refused)


async def test_an_extended_call_keeps_its_place(store: LimitsStore) -> None:
    limit = at_once(1)
    await begin(store, "d1", limit)
    await store.extend("d1", after(100))
    assert isinstance(await begin(store, "d2", limit, 99), Refused)
    assert isinstance(await begin(store, "d3", limit, 100), Reserved)


async def test_an_ended_call_cannot_take_its_place_again(store: LimitsStore) -> None:
    limit = at_once(1)
    await begin(store, "d1", limit)
    await store.settle("d1", amounts(), b"row", after(1))
    await store.extend("d1", after(100))
    assert await used(store, 2) == 0


async def test_come_again_in_a_second_or_when_the_next_lease_ends(store: LimitsStore) -> None:
    limit = at_once(1)
    await begin(store, "d1", limit)
    for at_s, retry_after_s in ((0, 1.0), (9, 1.0), (9.5, 0.5)):
        answer = await begin(store, f"late{at_s}", limit, at_s)
        assert isinstance(answer, Refused)
        assert answer.retry_after_s == retry_after_s
        assert answer.states[0].reset_s == 10 - at_s


async def test_where_none_is_allowed_none_ever_fits(store: LimitsStore) -> None:
    answer = await begin(store, "d1", at_once(0))
    assert isinstance(answer, Refused)
    assert answer.retry_after_s is None


async def test_a_refused_call_is_not_under_way(store: LimitsStore) -> None:
    limits = [at_once(5), limit_of(Measure.TOKENS_PER_MINUTE, 1)]
    answer = await store.reserve(reservation("d1", limits), amounts(2), NOW)
    assert isinstance(answer, Refused)
    assert await used(store, 0) == 0
