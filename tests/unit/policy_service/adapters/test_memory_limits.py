import gc
import sys
from datetime import timedelta
from decimal import Decimal

from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.ports.limits import Reserved, SettleOutcome, Unprimed
from tests.fixtures.reservations import (
    NOW,
    after,
    amounts,
    requests_limit,
    reservation,
    tokens_limit,
    usd_limit,
)

DAY = timedelta(days=1)


async def test_an_ended_reservation_is_remembered_for_a_day() -> None:
    store = MemoryLimitsStore()
    await store.reserve(reservation("d1"), amounts(), NOW)
    await store.settle("d1", amounts(), b"row", after(10))
    await store.reserve(reservation("later"), amounts(), after(9) + DAY)
    assert await store.find("d1") == reservation("d1")
    assert await store.settle("d1", amounts(), b"row", after(9) + DAY) == "already_settled"
    await store.reserve(reservation("latest"), amounts(), after(10) + DAY)
    assert await store.find("d1") is None
    assert await store.settle("d1", amounts(), b"row", after(10) + DAY) is SettleOutcome.UNKNOWN


async def test_a_lease_that_expired_and_was_settled_is_remembered_for_a_day_after_settling() -> (
    None
):
    store = MemoryLimitsStore()
    await store.reserve(reservation("d1"), amounts(), NOW)
    await store.expire("d1", b"row", after(300))
    await store.settle("d1", amounts(), b"row", after(1000))
    await store.reserve(reservation("later"), amounts(), after(999) + DAY)
    assert await store.find("d1") is not None
    await store.reserve(reservation("latest"), amounts(), after(1000) + DAY)
    assert await store.find("d1") is None


async def test_an_open_reservation_is_never_forgotten() -> None:
    store = MemoryLimitsStore()
    await store.reserve(reservation("d1"), amounts(), NOW)
    much_later = NOW + 400 * DAY
    await store.reserve(reservation("later", at=much_later), amounts(), much_later)
    assert [late.decision_id for late in await store.overdue(much_later, 10)] == ["d1"]


async def test_a_month_is_kept_for_seventy_days() -> None:
    store, limit = MemoryLimitsStore(), usd_limit("10")
    await store.prime(limit, Decimal(4), NOW)
    await store.reserve(reservation("a"), amounts(), NOW + 69 * DAY)
    assert [state.used for state in await store.states([limit], NOW)] == [4]
    await store.reserve(reservation("b"), amounts(), NOW + 70 * DAY)
    answer = await store.reserve(reservation("c", [limit]), amounts(), NOW)
    assert answer == Unprimed((limit,))


async def test_memory_does_not_grow_with_traffic_that_has_passed() -> None:
    """Ten days, a call every ten minutes, each by a team of its own."""
    store = MemoryLimitsStore()

    async def live(first: int) -> None:
        for i in range(first, first + 720):
            at = after(i * 600)
            limits = [requests_limit(5, f"team:{i}"), tokens_limit(50, f"team:{i}")]
            asked = reservation(f"d{i}", limits, at=at)
            assert isinstance(await store.reserve(asked, amounts(10), at), Reserved)
            await store.settle(f"d{i}", amounts(5), b"row", at)
            (queued,) = await store.take_rows(10, 0)
            await store.acknowledge([queued.token])

    await live(0)
    before = _objects_held(store)
    await live(720)
    assert _objects_held(store) <= before * 1.1


def _objects_held(root: object) -> int:
    """How many objects hang on `root`, modules and classes apart."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        here = waiting.pop()
        if id(here) in seen or isinstance(here, type | type(sys)):
            continue
        seen.add(id(here))
        waiting += gc.get_referents(here)
    return len(seen)
