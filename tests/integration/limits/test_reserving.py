import asyncio
from decimal import Decimal

import pytest

from llm_core.policy.limits import Amounts, Limit, LimitState
from policy_service.ports.limits import LimitsStore, Refused, Reserved, Unprimed
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


async def used(store: LimitsStore, *limits: Limit) -> list[Decimal]:
    return [state.used for state in await store.states(limits, NOW)]


async def test_a_call_without_limits_is_reserved(store: LimitsStore) -> None:
    assert await store.reserve(reservation("d1"), amounts(5, "1"), NOW) == Reserved(())
    assert await store.find("d1") == reservation("d1")


@pytest.mark.parametrize(
    "limit", [requests_limit(37), tokens_limit(37 * 11 + 10), usd_limit("4.81")]
)
async def test_exactly_as_many_of_200_concurrent_calls_pass_as_fit(
    store: LimitsStore, limit: Limit
) -> None:
    if limit.measure.is_money:
        await prime(store, limit, Decimal(0), NOW)
    answers = await asyncio.gather(
        *(
            store.reserve(reservation(f"d{i}", [limit]), amounts(11, "0.13"), NOW)
            for i in range(200)
        )
    )
    assert sum(isinstance(answer, Reserved) for answer in answers) == 37
    assert sum(isinstance(answer, Refused) for answer in answers) == 163


async def test_the_states_of_a_reserved_call_count_it_as_used(store: LimitsStore) -> None:
    limits = [requests_limit(10), tokens_limit(1000), usd_limit("5")]
    await prime(store, limits[2], Decimal("1.5"), NOW)
    answer = await store.reserve(reservation("d1", limits), amounts(70, "0.25"), NOW)
    ten_days_and_a_half_s = 10.5 * 86_400
    assert answer == Reserved(
        (
            LimitState(limits[0], Decimal(1), 60.0),
            LimitState(limits[1], Decimal(70), 60.0),
            LimitState(limits[2], Decimal("1.75"), ten_days_and_a_half_s),
        )
    )
    assert await store.states(limits, NOW) == answer.states


async def test_a_refused_call_takes_from_no_limit_and_leaves_no_reservation(
    store: LimitsStore,
) -> None:
    limits = [requests_limit(10), tokens_limit(100), usd_limit("5")]
    await prime(store, limits[2], Decimal(0), NOW)
    answer = await store.reserve(reservation("d1", limits), amounts(101, "1"), NOW)
    assert isinstance(answer, Refused)
    assert answer.exceeded == limits[1]
    assert [state.used for state in answer.states] == [0, 0, 0]
    assert await used(store, *limits) == [0, 0, 0]
    assert await store.find("d1") is None


async def test_the_first_exceeded_limit_in_the_given_order_is_named(store: LimitsStore) -> None:
    limits = [requests_limit(10), usd_limit("1"), tokens_limit(1), requests_limit(0, "key:k")]
    await prime(store, limits[1], Decimal(0), NOW)
    answer = await store.reserve(reservation("d1", limits), amounts(5, "2"), NOW)
    assert isinstance(answer, Refused)
    assert answer.exceeded == limits[1]
    assert answer.retry_after_s is None


async def test_money_without_a_counter_is_unprimed_and_nothing_is_taken(
    store: LimitsStore,
) -> None:
    limits = [usd_limit("5", "org:a"), requests_limit(1), usd_limit("5"), usd_limit("5", "key:k")]
    await prime(store, limits[2], Decimal(0), NOW)
    answer = await store.reserve(reservation("d1", limits), amounts(0, "1"), NOW)
    assert answer == Unprimed((limits[0], limits[3]))
    assert await used(store, *limits) == [0, 0, 0, 0]
    assert await store.find("d1") is None


async def test_only_the_first_priming_counts(store: LimitsStore) -> None:
    limit = usd_limit("5")
    await asyncio.gather(*(prime(store, limit, Decimal(i), NOW) for i in (3, 3, 3)))
    await store.reserve(reservation("d1", [limit]), amounts(0, "1"), NOW)
    await prime(store, limit, Decimal("0.5"), NOW)
    assert await used(store, limit) == [4]


async def test_calls_that_race_to_prime_do_not_lose_what_was_reserved(store: LimitsStore) -> None:
    limit = usd_limit("10")

    async def call(decision_id: str) -> Reserved | Refused | Unprimed:
        asked = reservation(decision_id, [limit])
        answer = await store.reserve(asked, amounts(0, "1"), NOW)
        if isinstance(answer, Unprimed):
            await prime(store, limit, Decimal(4), NOW)
            answer = await store.reserve(asked, amounts(0, "1"), NOW)
        return answer

    answers = await asyncio.gather(*(call(f"d{i}") for i in range(30)))
    assert sum(isinstance(answer, Reserved) for answer in answers) == 6
    assert await used(store, limit) == [10]


async def test_a_new_month_starts_unprimed_and_leaves_the_old_one_alone(store: LimitsStore) -> None:
    limit = usd_limit("10")
    await prime(store, limit, Decimal(4), NOW)
    december = NOW.replace(month=12, day=1, hour=0)
    asked = reservation("d1", [limit], at=december)
    assert isinstance(await store.reserve(asked, amounts(0, "1"), december), Unprimed)
    assert await used(store, limit) == [4]


async def test_awkward_prices_add_up_exactly(store: LimitsStore) -> None:
    limit = usd_limit("1")
    price = Decimal("0.000000333333")
    await prime(store, limit, Decimal("0.999000000001"), NOW)
    left = Decimal("0.000999999999")
    fits = int(left // price)
    for i in range(fits):
        answer = await store.reserve(reservation(f"d{i}", [limit]), amounts(0, str(price)), NOW)
        assert isinstance(answer, Reserved), i
    assert await used(store, limit) == [Decimal("0.999000000001") + fits * price]
    rest = left - fits * price
    too_much = rest + Decimal("0.000000000001")
    refused = await store.reserve(reservation("x", [limit]), amounts(0, str(too_much)), NOW)
    assert isinstance(refused, Refused)
    assert isinstance(
        await store.reserve(reservation("y", [limit]), amounts(0, str(rest)), NOW), Reserved
    )
    assert await used(store, limit) == [1]


async def test_large_money_keeps_its_pico_dollars(store: LimitsStore) -> None:
    limit = usd_limit("4000000000")
    await prime(store, limit, Decimal("3999999998.999999999999"), NOW)
    await store.reserve(reservation("d1", [limit]), amounts(0, "1.000000000001"), NOW)
    assert await used(store, limit) == [Decimal(4_000_000_000)]


async def test_a_limit_given_twice_binds_by_its_smallest_amount_and_is_counted_once(
    store: LimitsStore,
) -> None:
    limits = [tokens_limit(100), requests_limit(9), tokens_limit(50), tokens_limit(70)]
    answer = await store.reserve(reservation("d1", limits), amounts(30), NOW)
    assert isinstance(answer, Reserved)
    assert [(state.limit, state.used) for state in answer.states] == [
        (tokens_limit(50), 30),
        (requests_limit(9), 1),
    ]
    answer = await store.reserve(reservation("d2", limits), amounts(21), NOW)
    assert isinstance(answer, Refused)
    assert answer.exceeded == tokens_limit(50)


async def test_a_free_call_passes_when_the_money_is_gone(store: LimitsStore) -> None:
    limit = usd_limit("1")
    await prime(store, limit, Decimal(2), NOW)
    assert isinstance(await store.reserve(reservation("d1", [limit]), amounts(9), NOW), Reserved)


async def test_more_than_the_limit_itself_never_fits(store: LimitsStore) -> None:
    limits = [tokens_limit(100)]
    answer = await store.reserve(reservation("d1", limits), amounts(101), NOW)
    assert isinstance(answer, Refused)
    assert answer.retry_after_s is None


async def test_absurd_numbers_are_refused_rather_than_rounded(store: LimitsStore) -> None:
    huge = Amounts(requests=1, input_tokens=10**40, output_tokens=10**40, usd=Decimal(10) ** 40)
    for limit in (tokens_limit(10**41), usd_limit("1e41")):
        if limit.measure.is_money:
            await prime(store, limit, Decimal(0), NOW)
        answer = await store.reserve(reservation(limit.key, [limit]), huge, NOW)
        assert isinstance(answer, Refused)


async def test_negative_amounts_are_a_fault_of_the_program(store: LimitsStore) -> None:
    for wrong in (
        Amounts(requests=-1, input_tokens=0, output_tokens=0, usd=Decimal(0)),
        Amounts(requests=1, input_tokens=-1, output_tokens=0, usd=Decimal(0)),
        Amounts(requests=1, input_tokens=0, output_tokens=-1, usd=Decimal(0)),
        Amounts(requests=1, input_tokens=0, output_tokens=0, usd=Decimal(-1)),
        Amounts(requests=1, input_tokens=0, output_tokens=0, usd=Decimal("NaN")),
    ):
        with pytest.raises(ValueError, match="nobody can take"):
            await store.reserve(reservation("d1"), wrong, NOW)
    with pytest.raises(ValueError, match="needs no priming"):
        await prime(store, tokens_limit(1), Decimal(0), NOW)


async def test_the_same_reservation_again_takes_nothing_more(store: LimitsStore) -> None:
    limit = requests_limit(1)
    asked = reservation("d1", [limit])
    first = await store.reserve(asked, amounts(), NOW)
    assert await store.reserve(asked, amounts(), NOW) == first
    assert await used(store, limit) == [1]


async def test_a_decision_id_cannot_carry_a_second_call(store: LimitsStore) -> None:
    await store.reserve(reservation("d1"), amounts(), NOW)
    with pytest.raises(ValueError, match="used before"):
        await store.reserve(reservation("d1", at=after(1)), amounts(), after(1))
    await store.settle("d1", amounts(), b"{}", NOW)
    with pytest.raises(ValueError, match="used before"):
        await store.reserve(reservation("d1"), amounts(), NOW)


async def test_nodes_do_not_share_counters(store: LimitsStore) -> None:
    here, there = requests_limit(1, "team:a"), requests_limit(1, "team:b")
    assert isinstance(await store.reserve(reservation("1", [here]), amounts(), NOW), Reserved)
    assert isinstance(await store.reserve(reservation("2", [there]), amounts(), NOW), Reserved)
    assert await used(store, here, there) == [1, 1]


async def test_a_lowered_limit_shows_more_used_than_it_allows(store: LimitsStore) -> None:
    await store.reserve(reservation("d1", [tokens_limit(100)]), amounts(80), NOW)
    (state,) = await store.states([tokens_limit(50)], NOW)
    assert (state.used, state.remaining) == (80, 0)


async def test_no_limits_have_no_states(store: LimitsStore) -> None:
    assert await store.states([], NOW) == ()
