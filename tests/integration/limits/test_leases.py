import asyncio
from decimal import Decimal
from itertools import permutations

import pytest

from policy_service.ports.limits import LimitsStore, Reserved, SettleOutcome
from tests.fixtures.reservations import (
    NOW,
    after,
    amounts,
    prime,
    requests_limit,
    reservation,
    tokens_limit,
    usd_limit,
)

LIMITS = [requests_limit(100), tokens_limit(1000), usd_limit("10")]


async def open_lease(store: LimitsStore, decision_id: str = "d1", lease_s: float = 10) -> None:
    await prime(store, LIMITS[2], Decimal(0), NOW)
    asked = reservation(decision_id, LIMITS, lease_s=lease_s)
    assert isinstance(await store.reserve(asked, amounts(500, "5"), NOW), Reserved)


async def used(store: LimitsStore, at_s: float = 0) -> list[Decimal]:
    return [state.used for state in await store.states(LIMITS, after(at_s))]


async def rows(store: LimitsStore) -> list[bytes]:
    return [queued.row for queued in await store.take_rows(100, 0)]


async def test_settling_moves_every_limit_to_the_true_figure_once(store: LimitsStore) -> None:
    await open_lease(store)
    outcomes = await asyncio.gather(
        *(store.settle("d1", amounts(20, "0.123456789012"), b"row", after(1)) for _ in range(10))
    )
    assert sorted(outcomes) == [SettleOutcome.ALREADY_SETTLED] * 9 + [SettleOutcome.SETTLED]
    assert await used(store) == [1, 20, Decimal("0.123456789012")]
    assert await rows(store) == [b"row"]


async def test_a_settled_lease_is_never_overdue(store: LimitsStore) -> None:
    await open_lease(store)
    await store.settle("d1", amounts(), b"row", after(1))
    assert await store.overdue(after(10), 10) == ()


async def test_settling_what_was_never_reserved_is_unknown_and_queues_nothing(
    store: LimitsStore,
) -> None:
    assert await store.settle("d1", amounts(), b"row", NOW) is SettleOutcome.UNKNOWN
    assert await store.expire("d1", b"row", NOW) is False
    assert await store.redeem("d1", NOW) is None
    assert await store.find("d1") is None
    await store.extend("d1", after(10))
    assert await store.overdue(after(100), 10) == ()
    assert await rows(store) == []


async def test_an_expired_lease_stands_as_charged_until_the_true_figure_comes(
    store: LimitsStore,
) -> None:
    await open_lease(store)
    assert await store.expire("d1", b"estimate", after(10)) is True
    assert await used(store, 10) == [1, 500, 5]
    assert await store.settle("d1", amounts(30, "0.3"), b"true", after(11)) is SettleOutcome.SETTLED
    assert await used(store, 11) == [1, 30, Decimal("0.3")]
    assert await store.expire("d1", b"again", after(12)) is False
    assert await rows(store) == [b"estimate", b"true"]


async def test_a_lease_cannot_be_expired_before_its_end(store: LimitsStore) -> None:
    await open_lease(store)
    assert await store.overdue(after(9.999), 10) == ()
    assert await store.expire("d1", b"row", after(9.999)) is False
    assert await store.overdue(after(10), 10) == (reservation("d1", LIMITS, lease_s=10),)
    assert await store.expire("d1", b"row", after(10)) is True
    assert await store.expire("d1", b"row", after(10)) is False
    assert await store.overdue(after(10), 10) == ()


STEPS = ("settle", "settle otherwise", "expire", "redeem", "extend")


@pytest.mark.parametrize("order", list(permutations(STEPS)), ids=" > ".join)
async def test_ends_come_in_any_order_and_any_number_and_leave_the_first_true_figure(
    store: LimitsStore, order: tuple[str, ...]
) -> None:
    """Plugins, relay and sweeper report independently; each may come late, or twice."""
    await open_lease(store)
    late = after(20)
    for step in (*order, *order):
        match step:
            case "settle":
                await store.settle("d1", amounts(20, "0.2"), b"settle", late)
            case "settle otherwise":
                await store.settle("d1", amounts(30, "0.3"), b"settle otherwise", late)
            case "expire":
                await store.expire("d1", b"expire", late)
            case "redeem":
                await store.redeem("d1", late)
            case _:
                await store.extend("d1", after(15))
    settles_first = min(order.index("settle"), order.index("settle otherwise"))
    winner = order[settles_first]
    true_figure = [1, 20, Decimal("0.2")] if winner == "settle" else [1, 30, Decimal("0.3")]
    assert await used(store, 20) == true_figure
    expires_first = order.index("expire") < settles_first
    assert await rows(store) == [b"expire"] * expires_first + [winner.encode()]


async def test_a_reservation_is_handed_out_once(store: LimitsStore) -> None:
    await open_lease(store)
    handed = await asyncio.gather(*(store.redeem("d1", after(1)) for _ in range(20)))
    assert [found for found in handed if found] == [reservation("d1", LIMITS, lease_s=10)]


@pytest.mark.parametrize("end", ["lease", "expire", "settle"])
async def test_a_reservation_that_ended_is_not_handed_out(store: LimitsStore, end: str) -> None:
    await open_lease(store)
    if end == "settle":
        await store.settle("d1", amounts(), b"row", after(1))
    if end == "expire":
        await store.expire("d1", b"row", after(10))
    assert await store.redeem("d1", after(1 if end == "settle" else 10)) is None
    assert await store.find("d1") == reservation("d1", LIMITS, lease_s=10)


async def test_a_redeemed_lease_still_expires_and_settles(store: LimitsStore) -> None:
    await open_lease(store)
    assert await store.redeem("d1", after(1))
    assert len(await store.overdue(after(10), 10)) == 1
    assert await store.expire("d1", b"estimate", after(10)) is True
    assert await store.settle("d1", amounts(1, "0"), b"true", after(11)) is SettleOutcome.SETTLED


async def test_an_extended_lease_ends_later(store: LimitsStore) -> None:
    await open_lease(store)
    await store.extend("d1", after(100.0005))
    assert await store.overdue(after(50), 10) == ()
    assert await store.expire("d1", b"row", after(50)) is False
    extended = reservation("d1", LIMITS, lease_s=100.0005)
    assert await store.find("d1") == extended
    assert await store.redeem("d1", after(99)) == extended
    assert await store.overdue(after(101), 10) == (extended,)


async def test_a_lease_that_ended_cannot_be_extended(store: LimitsStore) -> None:
    await open_lease(store)
    await store.expire("d1", b"row", after(10))
    await store.extend("d1", after(100))
    assert await store.overdue(after(200), 10) == ()
    assert await store.find("d1") == reservation("d1", LIMITS, lease_s=10)


async def test_the_longest_overdue_come_first_and_no_more_than_asked(store: LimitsStore) -> None:
    for decision_id, lease_s in (("c", 3), ("a", 1), ("d", 4), ("b", 2)):
        await store.reserve(reservation(decision_id, lease_s=lease_s), amounts(), NOW)
    assert [late.decision_id for late in await store.overdue(after(3), 2)] == ["a", "b"]
    assert [late.decision_id for late in await store.overdue(after(3), 9)] == ["a", "b", "c"]
    assert await store.overdue(after(3), 0) == ()


async def test_settling_changes_the_month_in_which_was_reserved(store: LimitsStore) -> None:
    limit = usd_limit("10")
    eve, morning = NOW.replace(day=30, hour=23, minute=59), NOW.replace(month=12, day=1, hour=0)
    await prime(store, limit, Decimal(1), eve)
    await prime(store, limit, Decimal(0), morning)
    await store.reserve(reservation("d1", [limit], at=eve), amounts(0, "5"), eve)
    await store.settle("d1", amounts(0, "2"), b"row", morning)
    assert [state.used for state in await store.states([limit], eve)] == [3]
    assert [state.used for state in await store.states([limit], morning)] == [0]


async def test_limits_added_or_dropped_meanwhile_do_not_matter(store: LimitsStore) -> None:
    dropped, added = tokens_limit(1000, "key:old"), usd_limit("10", "key:new")
    await store.reserve(reservation("d1", [dropped]), amounts(500, "5"), NOW)
    await prime(store, added, Decimal(1), NOW)
    await store.settle("d1", amounts(20, "2"), b"row", after(1))
    states = await store.states([dropped, added], after(1))
    assert [state.used for state in states] == [20, 1]


async def test_concurrent_ends_of_many_leases_add_up(store: LimitsStore) -> None:
    await prime(store, LIMITS[2], Decimal(0), NOW)
    for i in range(50):
        asked = reservation(f"d{i}", LIMITS, lease_s=10)
        assert isinstance(await store.reserve(asked, amounts(10, "0.1"), NOW), Reserved)
    late = after(10)
    await asyncio.gather(
        *(store.expire(f"d{i}", b"estimate", late) for i in range(50)),
        *(store.settle(f"d{i}", amounts(3, "0.03"), b"true", late) for i in range(50)),
        *(store.settle(f"d{i}", amounts(3, "0.03"), b"true", late) for i in range(50)),
    )
    assert await used(store, 10) == [50, 150, Decimal("1.5")]
    assert (await rows(store)).count(b"true") == 50
