import gc
import sys
from datetime import timedelta
from decimal import Decimal

from llm_core.policy.limits import Measure
from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.ports.limits import Reserved, SettleOutcome, Unprimed
from tests.fixtures.reservations import (
    NOW,
    after,
    amounts,
    limit_of,
    prime,
    requests_limit,
    reservation,
    tokens_limit,
    usd_limit,
)

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


async def write_rows(store: MemoryLimitsStore) -> None:
    assert await store.acknowledge(await store.take_rows(100, 0))


async def test_a_settled_reservation_is_remembered_for_an_hour() -> None:
    store = MemoryLimitsStore()
    await store.reserve(reservation("d1"), amounts(), NOW)
    await store.settle("d1", amounts(), b"row", after(10))
    await write_rows(store)
    await store.reserve(reservation("later"), amounts(), after(9) + HOUR)
    assert await store.find("d1") == reservation("d1")
    assert await store.settle("d1", amounts(), b"row", after(9) + HOUR) == "already_settled"
    await store.reserve(reservation("latest"), amounts(), after(10) + HOUR)
    assert await store.find("d1") is None
    assert await store.settle("d1", amounts(), b"row", after(10) + HOUR) is SettleOutcome.UNKNOWN


async def test_a_settled_reservation_is_remembered_until_its_row_is_in_the_ledger() -> None:
    store = MemoryLimitsStore()
    await store.reserve(reservation("d1"), amounts(), NOW)
    await store.settle("d1", amounts(), b"row", NOW)
    await store.overdue(NOW + 9 * DAY, 1)
    assert await store.find("d1") is not None
    await write_rows(store)
    await store.overdue(NOW + 9 * DAY, 1)
    assert await store.find("d1") is None


async def test_an_estimate_is_remembered_for_a_day_and_may_change_as_long() -> None:
    store = MemoryLimitsStore()
    for name in ("d1", "d2"):
        await store.reserve(reservation(name), amounts(), NOW)
        await store.expire(name, b"row", after(300))
    await write_rows(store)
    await store.overdue(after(299) + DAY, 1)
    await store.settle("d1", amounts(), b"true", after(299) + DAY)
    before = await store.unwritten()
    assert before.decision_ids == {"d1", "d2"}
    await store.overdue(after(300) + DAY, 1)
    assert await store.find("d1") is not None
    assert await store.find("d2") is None
    forgotten = await store.unwritten()
    assert forgotten.decision_ids == {"d1"}
    assert forgotten.mark != before.mark


async def test_an_open_reservation_is_never_forgotten() -> None:
    store = MemoryLimitsStore()
    await store.reserve(reservation("d1"), amounts(), NOW)
    much_later = NOW + 400 * DAY
    await store.reserve(reservation("later", at=much_later), amounts(), much_later)
    assert [late.decision_id for late in await store.overdue(much_later, 10)] == ["d1"]


async def test_a_month_is_kept_for_a_week_after_its_end() -> None:
    store, limit = MemoryLimitsStore(), usd_limit("10")
    await prime(store, limit, Decimal(4), NOW)
    end = NOW.replace(month=12, day=1, hour=0)
    await store.reserve(reservation("a"), amounts(), end + 6 * DAY)
    assert [state.used for state in await store.states([limit], NOW)] == [4]
    await store.reserve(reservation("b"), amounts(), end + 7 * DAY)
    answer = await store.reserve(reservation("c", [limit]), amounts(), NOW)
    assert answer == Unprimed((limit,))


async def test_a_window_from_the_ledger_is_kept_for_twice_its_time() -> None:
    store, limit = MemoryLimitsStore(), limit_of(Measure.USD_PER_24_HOURS, 10)
    await prime(store, limit, 4)
    asked = reservation("a", [limit], at=NOW + DAY)
    assert isinstance(await store.reserve(asked, amounts(0, "1"), NOW + DAY), Reserved)
    almost = NOW + 3 * DAY - timedelta(seconds=1)
    await store.overdue(almost, 1)
    asked = reservation("b", [limit], at=almost)
    assert isinstance(await store.reserve(asked, amounts(), almost), Reserved)
    await store.overdue(almost + 2 * DAY, 1)
    asked = reservation("c", [limit], at=almost + 2 * DAY)
    assert await store.reserve(asked, amounts(), almost + 2 * DAY) == Unprimed((limit,))


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
            await write_rows(store)

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
