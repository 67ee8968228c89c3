import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest

from llm_core.errors import PolicyUnavailable
from llm_core.policy.decision import Reservation
from llm_core.policy.limits import Amounts, Limit, Measure
from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.ports.limits import Refused, Reserved, SettleOutcome, Spent
from policy_service.services.reserving import Reserving
from tests.fakes.ledger import FakeLedger
from tests.fixtures.reservations import NOW, amounts, limit_of, reservation, usd_limit
from tests.integration.sql.usage_rows import usage_row

FROM_LEDGER = [measure for measure in Measure if measure.period.is_from_ledger]


async def used(store: MemoryLimitsStore, limit: Limit) -> Decimal:
    (state,) = await store.states([limit], NOW)
    return state.used


def row_of(made: Reservation, took: Amounts, **changes: object):
    return usage_row(
        made.decision_id,
        at=made.decided_at,
        team=made.caller.team,
        asked_model=made.call.asked_model,
        input_tokens=took.input_tokens,
        output_tokens=took.output_tokens,
        usd=took.usd,
        **changes,
    )


@pytest.mark.parametrize("measure", FROM_LEDGER)
async def test_a_missing_counter_is_made_of_what_the_ledger_has(measure: Measure) -> None:
    store, ledger = MemoryLimitsStore(), FakeLedger()
    limit = limit_of(measure, 10)
    before = reservation("before")
    await ledger.record([row_of(before, amounts(4, "4"))])
    reserving = Reserving(store, ledger)
    await reserving.reserve(reservation("d1", [limit]), amounts(3, "3"), NOW)
    assert await used(store, limit) == 7
    refused = await reserving.reserve(reservation("d2", [limit]), amounts(4, "4"), NOW)
    assert isinstance(refused, Refused)
    assert ledger.sums_asked == ["team:search"]


@pytest.mark.parametrize("measure", FROM_LEDGER)
async def test_a_call_that_is_under_way_counts_once_whether_its_row_is_written_or_not(
    measure: Measure,
) -> None:
    store, ledger = MemoryLimitsStore(), FakeLedger()
    limit = limit_of(measure, 100)
    reserving = Reserving(store, ledger)
    open_one, settled, written = (reservation(name, [limit]) for name in ("open", "done", "in"))
    for made in (open_one, settled, written):
        await reserving.reserve(made, amounts(8, "8"), NOW)
    for made in (settled, written):
        await store.settle(made.decision_id, amounts(2, "2"), b"{}", NOW)
    await ledger.record([row_of(written, amounts(2, "2"))])
    await store.rebuild()
    await reserving.reserve(reservation("next", [limit]), amounts(1, "1"), NOW)
    assert await used(store, limit) == 8 + 2 + 2 + 1


async def test_calls_that_miss_the_same_counter_have_it_made_once() -> None:
    store, ledger = MemoryLimitsStore(), FakeLedger({"team:search": Decimal(90)})
    reserving, limit = Reserving(store, ledger), usd_limit("100")
    answers = await asyncio.gather(
        *(
            reserving.reserve(reservation(f"d{number}", [limit]), amounts(usd="1"), NOW)
            for number in range(50)
        )
    )
    assert sum(isinstance(answer, Reserved) for answer in answers) == 10
    assert ledger.sums_asked == ["team:search"]


async def test_rows_that_are_given_out_meanwhile_make_it_ask_again() -> None:
    store = MemoryLimitsStore()
    limit = usd_limit("100")

    class Writing(FakeLedger):
        """While it sums, a writer takes the row of a settled call, writes and acknowledges it."""

        async def spent(
            self, limit: Limit, now: datetime, without: Collection[str] = ()
        ) -> tuple[Spent, ...]:
            said = await super().spent(limit, now, without)
            if rows := await store.take_rows(10, 0):
                await self.record([row_of(reservation("done"), amounts(usd="5"))])
                await store.acknowledge(rows)
            return said

    ledger = Writing()
    await store.reserve(reservation("done"), amounts(usd="9"), NOW)
    await store.settle("done", amounts(usd="5"), b"{}", NOW)
    await Reserving(store, ledger).reserve(reservation("d1", [limit]), amounts(usd="1"), NOW)
    assert await used(store, limit) == 6
    assert len(ledger.sums_asked) == 2


async def test_a_store_that_never_comes_to_rest_is_unavailable() -> None:
    class Restless(MemoryLimitsStore):
        async def prime(
            self, limit: Limit, spent: Sequence[Spent], mark: int, now: datetime
        ) -> bool:
            return False

    reserving = Reserving(Restless(), FakeLedger())
    with pytest.raises(PolicyUnavailable, match="counters"):
        await reserving.reserve(reservation("d1", [usd_limit("1")]), amounts(), NOW)


async def test_a_ledger_that_is_down_is_told_and_asked_again_by_the_next_call() -> None:
    ledger, asked = FakeLedger(), reservation("d1", [usd_limit("1")])
    reserving = Reserving(MemoryLimitsStore(), ledger)
    ledger.is_down = True
    for _ in range(2):
        with pytest.raises(PolicyUnavailable, match="down"):
            await reserving.reserve(asked, amounts(usd="1"), NOW)
    ledger.is_down = False
    assert isinstance(await reserving.reserve(asked, amounts(usd="1"), NOW), Reserved)


async def test_a_call_that_is_given_up_does_not_stop_those_that_wait_with_it() -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    class Slow(FakeLedger):
        async def spent(
            self, limit: Limit, now: datetime, without: Collection[str] = ()
        ) -> tuple[Spent, ...]:
            started.set()
            await go_on.wait()
            return await super().spent(limit, now, without)

    reserving = Reserving(MemoryLimitsStore(), Slow())
    limit = usd_limit("5")
    first, second = (
        asyncio.create_task(reserving.reserve(reservation(name, [limit]), amounts(usd="1"), NOW))
        for name in ("first", "second")
    )
    await started.wait()
    first.cancel()
    go_on.set()
    assert isinstance(await second, Reserved)


async def test_a_decision_id_that_was_used_before_is_unavailable() -> None:
    reserving = Reserving(MemoryLimitsStore(), FakeLedger())
    await reserving.reserve(reservation("d1"), amounts(), NOW)
    other = replace(reservation("d1"), prompt_tokens=11)
    with pytest.raises(PolicyUnavailable, match="before"):
        await reserving.reserve(other, amounts(), NOW)


@pytest.mark.parametrize("measure", list(Measure))
async def test_what_was_served_and_lost_is_taken_up_whatever_the_limit(measure: Measure) -> None:
    store, limit = MemoryLimitsStore(), limit_of(measure, 0)
    lost = reservation("lost", [limit])
    await Reserving(store, FakeLedger()).take_up(lost, amounts(7, "7", output_tokens=7), NOW)
    assert await used(store, limit) > 0
    assert await store.settle("lost", amounts(), b"{}", NOW) is SettleOutcome.SETTLED
