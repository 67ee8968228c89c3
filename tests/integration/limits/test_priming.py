from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import permutations

import pytest

from llm_core.policy.limits import Amounts, Limit, Measure, Period
from policy_service.ports.limits import LimitsStore, Reserved, SettleOutcome, Spent, Unprimed
from tests.fixtures.reservations import (
    NOW,
    after,
    amounts,
    limit_of,
    prime,
    requests_limit,
    reservation,
    usd_limit,
)

FROM_LEDGER = [measure for measure in Measure if measure.period.is_from_ledger]
RESERVED = Amounts(1, 60, 40, Decimal("1.000000000001"))
ACTUAL = Amounts(1, 6, 3, Decimal("0.000000000002"))


def one_of_each(node: str = "team:search") -> list[Limit]:
    return [limit_of(measure, 1000, node) for measure in FROM_LEDGER]


async def used(store: LimitsStore, limits: list[Limit], at: datetime = NOW) -> list[Decimal]:
    return [state.used for state in await store.states(limits, at)]


def of(figure: Amounts, limits: list[Limit]) -> list[Decimal]:
    return [figure.of(limit.measure.quantity) for limit in limits]


async def reserve(store: LimitsStore, name: str, limits: list[Limit], model: str = "mini") -> None:
    asked = reservation(name, limits, lease_s=10, model=model)
    assert isinstance(await store.reserve(asked, RESERVED, NOW), Reserved)


async def write_rows(store: LimitsStore) -> None:
    assert await store.acknowledge(await store.take_rows(100, 0)) is True


async def test_a_new_limit_counts_calls_that_were_under_way_before_it(store: LimitsStore) -> None:
    limits = one_of_each()
    await reserve(store, "d1", [])
    for limit in limits:
        await prime(store, limit, 0)
    assert await used(store, limits) == of(RESERVED, limits)
    await store.settle("d1", ACTUAL, b"row", after(1))
    assert await used(store, limits, after(1)) == of(ACTUAL, limits)


async def test_a_new_limit_counts_estimates_that_are_corrected_after_they_were_written(
    store: LimitsStore,
) -> None:
    limits = one_of_each()
    await reserve(store, "d1", [])
    await store.expire("d1", b"estimate", after(10))
    await write_rows(store)
    assert (await store.unwritten()).decision_ids == {"d1"}
    for limit in limits:
        await prime(store, limit, 0, after(10))
    assert await used(store, limits, after(10)) == of(RESERVED, limits)
    await store.settle("d1", ACTUAL, b"true", after(11))
    assert await used(store, limits, after(11)) == of(ACTUAL, limits)
    await write_rows(store)
    assert (await store.unwritten()).decision_ids == frozenset()


async def test_a_decision_is_unwritten_until_the_last_of_its_rows_is_written(
    store: LimitsStore,
) -> None:
    await reserve(store, "d1", [])
    await store.expire("d1", b"estimate", after(10))
    await store.settle("d1", ACTUAL, b"true", after(11))
    estimate, true_figure = await store.take_rows(10, 0)
    await store.acknowledge([estimate])
    assert (await store.unwritten()).decision_ids == {"d1"}
    await prime(store, usd_limit("1"), 0, after(11))
    assert await used(store, [usd_limit("1")], after(11)) == [ACTUAL.usd]
    await store.acknowledge([true_figure])
    assert (await store.unwritten()).decision_ids == frozenset()


STEPS = ("settle", "expire", "rebuild", "release")


@pytest.mark.parametrize("order", list(permutations(STEPS)), ids=" > ".join)
async def test_rebuilding_at_any_moment_leaves_the_first_true_figure(
    store: LimitsStore, order: tuple[str, ...]
) -> None:
    limits, late = one_of_each(), after(20)
    for limit in limits:
        await prime(store, limit, 0)
    await reserve(store, "d1", limits)
    for step in (*order, *order):
        match step:
            case "settle":
                await store.settle("d1", ACTUAL, b"settle", late)
            case "expire":
                await store.expire("d1", b"expire", late)
            case "release":
                await store.settle("d1", Amounts(1, 0, 0, Decimal(0)), b"release", late)
            case _:
                assert await store.rebuild() == len(limits)
                for limit in limits:
                    await prime(store, limit, 0, late)
    is_settled_first = order.index("settle") < order.index("release")
    figure = ACTUAL if is_settled_first else Amounts(1, 0, 0, Decimal(0))
    assert await used(store, limits, late) == of(figure, limits)


async def test_what_the_ledger_has_and_what_it_lacks_add_up(store: LimitsStore) -> None:
    limit = usd_limit("10")
    await reserve(store, "d1", [])
    await store.settle("d1", amounts(0, "0.25"), b"row", NOW)
    await reserve(store, "d2", [])
    mark = (await store.unwritten()).mark
    spent = [Spent(NOW, Decimal("3.000000000001"))]
    comparison = await store.compare(limit, spent, mark, NOW)
    assert comparison is not None
    assert (comparison.counted, comparison.expected) == (None, Decimal("4.250000000002"))
    assert comparison.drift == 0
    assert await store.prime(limit, spent, mark, NOW)
    comparison = await store.compare(limit, [], mark, NOW)
    assert comparison is not None
    assert comparison.drift == Decimal("3.000000000001")


async def test_the_mark_changes_when_rows_are_given_out_and_when_they_are_written(
    store: LimitsStore,
) -> None:
    marks = [(await store.unwritten()).mark]
    await reserve(store, "d1", [])
    await store.settle("d1", ACTUAL, b"row", NOW)
    unchanged = await store.unwritten()
    assert (unchanged.mark, unchanged.decision_ids) == (marks[0], {"d1"})
    rows = await store.take_rows(10, 0)
    marks.append((await store.unwritten()).mark)
    await store.acknowledge(rows)
    marks.append((await store.unwritten()).mark)
    assert len(set(marks)) == 3
    for stale in marks[:2]:
        assert await store.prime(usd_limit("1"), [], stale, NOW) is False
        assert await store.compare(usd_limit("1"), [], stale, NOW) is None
    assert await store.prime(usd_limit("1"), [], marks[2], NOW) is True


async def test_a_call_that_is_taken_up_again_changes_the_mark(store: LimitsStore) -> None:
    """The ledger may have had its estimate when it was asked."""
    mark = (await store.unwritten()).mark
    await store.reserve(reservation("d1"), amounts(), after(60))
    assert (await store.unwritten()).mark != mark


async def test_an_acknowledgement_whose_answer_was_lost_can_be_repeated(store: LimitsStore) -> None:
    for name in ("d1", "d2"):
        await reserve(store, name, [])
        await store.settle(name, ACTUAL, b"row", NOW)
    rows = await store.take_rows(10, 0)
    assert await store.acknowledge(rows[:1]) is True
    assert await store.acknowledge(rows) is True
    assert await store.acknowledge(rows) is True
    assert await store.acknowledge([]) is True
    assert (await store.unwritten()).decision_ids == frozenset()


async def test_rows_of_a_call_that_the_store_does_not_know_are_told(store: LimitsStore) -> None:
    await reserve(store, "d1", [])
    await store.settle("d1", ACTUAL, b"row", NOW)
    [row] = await store.take_rows(10, 0)
    lost = replace(row, token="1-1", decision_id="d2")
    assert await store.acknowledge([row, lost]) is False
    assert await store.acknowledge([row]) is True


async def test_a_row_that_is_lost_while_the_next_one_waits_is_told(store: LimitsStore) -> None:
    await reserve(store, "d1", [])
    await store.expire("d1", b"estimate", after(10))
    await store.settle("d1", ACTUAL, b"true", after(11))
    estimate, true_figure = await store.take_rows(10, 0)
    assert await store.acknowledge([estimate]) is True
    assert await store.acknowledge([estimate]) is False
    assert await store.acknowledge([true_figure, estimate]) is True


@pytest.mark.parametrize(
    ("scope", "models", "is_counted"),
    [
        ("model:mini", ("mini",), True),
        ("group:small", ("nano", "mini"), True),
        ("model:max", ("max",), False),
    ],
)
async def test_a_limit_on_models_is_made_of_the_calls_that_asked_for_them(
    store: LimitsStore, scope: str, models: tuple[str, ...], is_counted: bool
) -> None:
    limit = replace(usd_limit("10"), scope=scope, models=models)
    await reserve(store, "d1", [])
    await prime(store, limit, 0)
    assert await used(store, [limit]) == [RESERVED.usd if is_counted else 0]


@pytest.mark.parametrize(
    ("node", "is_counted"),
    [
        ("organisation:acme", True),
        ("department:r-and-d", True),
        ("team:search", True),
        ("key:k_1", True),
        ("team:sea", False),
        ("organisation:search", False),
    ],
)
async def test_a_limit_is_made_of_the_calls_below_its_node(
    store: LimitsStore, node: str, is_counted: bool
) -> None:
    await reserve(store, "d1", [])
    await prime(store, usd_limit("10", node), 0)
    assert await used(store, [usd_limit("10", node)]) == [RESERVED.usd if is_counted else 0]


async def test_only_calls_of_the_period_are_counted(store: LimitsStore) -> None:
    await reserve(store, "d1", [])
    later = {
        Period.DAY: timedelta(hours=12),
        Period.MONTH: timedelta(days=10.5),
        Period.LAST_24_HOURS: timedelta(days=1),
        Period.LAST_30_DAYS: timedelta(days=30),
    }
    for limit in one_of_each():
        then = NOW + later[limit.measure.period]
        for moment, is_counted in ((then - timedelta(milliseconds=1), True), (then, False)):
            await prime(store, limit, 0, moment)
            (state,) = await store.states([limit], moment)
            assert bool(state.used) is is_counted, limit.measure
            await store.rebuild()


async def test_a_day_begins_where_the_limit_says(store: LimitsStore) -> None:
    kolkata = replace(limit_of(Measure.USD_PER_DAY, 10), time_zone="Asia/Kolkata")
    midnight_there = NOW.replace(hour=18, minute=30)
    await prime(store, kolkata, 3, midnight_there - timedelta(seconds=1))
    await prime(store, kolkata, 4, midnight_there)
    before = await store.states([kolkata], midnight_there - timedelta(seconds=1))
    then = await store.states([kolkata], midnight_there)
    assert [(x.used, x.reset_s) for x in (*before, *then)] == [(3, 1.0), (4, 86_400.0)]


async def test_sliding_counters_let_go_of_what_the_ledger_had_bucket_by_bucket(
    store: LimitsStore,
) -> None:
    limit = limit_of(Measure.USD_PER_24_HOURS, 10)
    mark = (await store.unwritten()).mark
    spent = [
        Spent(NOW - timedelta(hours=24), Decimal("0.1")),
        Spent(NOW - timedelta(hours=23), Decimal("0.2")),
        Spent(NOW - timedelta(minutes=5), Decimal("0.000000000001")),
    ]
    assert await store.prime(limit, spent, mark, NOW)
    seen = [(await store.states([limit], after(s)))[0] for s in (0, 299.999, 300, 3900, 86_400)]
    assert [(state.used, state.reset_s) for state in seen] == [
        (Decimal("0.300000000001"), 300.0),
        (Decimal("0.300000000001"), 0.001),
        (Decimal("0.200000000001"), 3600.0),
        (Decimal("0.000000000001"), 82_500.0),
        (Decimal(0), 0.0),
    ]


async def test_a_counter_that_is_there_by_now_needs_no_second_sum(store: LimitsStore) -> None:
    await reserve(store, "d1", [])
    mark = (await store.unwritten()).mark
    await prime(store, usd_limit("10"), "3")
    await store.settle("d1", ACTUAL, b"row", NOW)
    await store.take_rows(10, 0)
    assert await store.prime(usd_limit("10"), [], mark, NOW)
    assert await used(store, [usd_limit("10")]) == [3 + ACTUAL.usd]


async def test_a_group_that_changes_counts_what_its_members_have_used(store: LimitsStore) -> None:
    before = replace(usd_limit("10"), scope="group:small", models=("nano",))
    await prime(store, before, "3")
    await reserve(store, "d1", [before], model="nano")
    await reserve(store, "d2", [], model="mini")
    now = replace(before, models=("mini", "nano"))
    asked = reservation("d3", [now], model="mini")
    assert await store.reserve(asked, RESERVED, NOW) == Unprimed((now,))
    await prime(store, now, "5")
    assert await used(store, [now]) == [5 + 2 * RESERVED.usd]
    await store.settle("d1", ACTUAL, b"row", NOW)
    await store.settle("d2", ACTUAL, b"row", NOW)
    assert await used(store, [now, before]) == [5 + 2 * ACTUAL.usd, 3 + ACTUAL.usd]


async def test_a_counter_of_the_ledger_stays_when_nothing_counts_in_it(store: LimitsStore) -> None:
    limit = limit_of(Measure.TOKENS_PER_24_HOURS, 10)
    await prime(store, limit, 0)
    for name in ("d1", "d2"):
        asked = reservation(name, [limit])
        assert isinstance(await store.reserve(asked, amounts(10), NOW), Reserved)
        await store.settle(name, amounts(), b"row", NOW)


async def test_a_call_of_last_month_that_is_taken_up_now_counts_where_it_was_decided(
    store: LimitsStore,
) -> None:
    limit, december = usd_limit("1"), NOW.replace(month=12, day=1, hour=0)
    eve = december - timedelta(seconds=5)
    await prime(store, limit, 1, eve)
    await prime(store, limit, 0, december)
    late = reservation("d1", [limit], at=eve)
    assert isinstance(await store.reserve(late, amounts(0, "0.5"), december), Reserved)
    assert await used(store, [limit], december) == [0]
    assert await used(store, [limit], eve) == [Decimal("1.5")]
    assert await store.settle("d1", amounts(0, "0.25"), b"r", december) is SettleOutcome.SETTLED
    assert await used(store, [limit], eve) == [Decimal("1.25")]
    await store.rebuild()
    later = reservation("d2", [limit], at=eve)
    await prime(store, limit, 0, december)
    assert isinstance(await store.reserve(later, amounts(0, "0.5"), december), Reserved)
    assert await used(store, [limit], december) == [0]


async def test_what_cannot_be_made_from_the_ledger_is_refused(store: LimitsStore) -> None:
    with pytest.raises(ValueError, match="needs no priming"):
        await store.compare(requests_limit(1), [], 0, NOW)
    with pytest.raises(ValueError, match="which models"):
        await store.prime(replace(usd_limit("1"), scope="model:max"), [], 0, NOW)
