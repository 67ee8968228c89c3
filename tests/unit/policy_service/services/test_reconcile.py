from collections.abc import Collection
from datetime import datetime
from decimal import Decimal

import pytest

from llm_core.errors import PolicyUnavailable
from llm_core.policy.limits import Limit, Measure
from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.ports.limits import Comparison, Spent
from policy_service.services.reconcile import Reconciling
from policy_service.services.reserving import Reserving
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.ledger import FakeLedger
from tests.fixtures.reservations import amounts, limit_of, reservation, usd_limit
from tests.integration.sql.usage_rows import usage_row

EVERY_LIMIT = [limit_of(measure, 1000) for measure in Measure]
KNOWN = [limit for limit in EVERY_LIMIT if limit.measure.period.is_from_ledger]


async def checked(reconciling: Reconciling, limits: list[Limit]) -> list[Comparison]:
    return [comparison async for comparison in reconciling.check(limits)]


async def test_counters_agree_with_the_ledger_and_what_is_under_way() -> None:
    store, ledger = MemoryLimitsStore(), FakeLedger()
    reserving = Reserving(store, ledger)
    for name in ("open", "settled"):
        await reserving.reserve(reservation(name, EVERY_LIMIT), amounts(5, "5"), NOON)
    await store.settle("settled", amounts(2, "2"), b"{}", NOON)
    compared = await checked(Reconciling(store, ledger, FakeClock()), EVERY_LIMIT)
    assert [one.limit for one in compared] == KNOWN
    assert [(one.counted, one.expected, one.drift) for one in compared] == [(7, 7, 0)] * len(KNOWN)


async def test_a_counter_that_says_otherwise_drifts_until_it_is_made_anew() -> None:
    store, ledger, limit = MemoryLimitsStore(), FakeLedger(), usd_limit("100")
    reconciling = Reconciling(store, ledger, FakeClock())
    reserving = Reserving(store, ledger)
    await reserving.reserve(reservation("d1", [limit]), amounts(usd="3"), NOON)
    await ledger.record([usage_row("unheard-of", at=NOON, team="search", usd=Decimal("0.5"))])
    (drifting,) = await checked(reconciling, [limit])
    assert (drifting.counted, drifting.expected) == (3, Decimal("3.5"))
    assert drifting.drift == Decimal("-0.5")
    assert await reconciling.rebuild() == 1
    (gone,) = await checked(reconciling, [limit])
    assert (gone.counted, gone.drift) == (None, 0)
    await reserving.reserve(reservation("d2", [limit]), amounts(usd="1"), NOON)
    (mended,) = await checked(reconciling, [limit])
    assert (mended.counted, mended.drift) == (Decimal("4.5"), 0)


class Moving(FakeLedger):
    """Another row is given out to be written while it sums, so many times."""

    def __init__(self, store: MemoryLimitsStore, times: int) -> None:
        super().__init__()
        self.store, self.left = store, times

    async def spent(
        self, limit: Limit, now: datetime, without: Collection[str] = ()
    ) -> tuple[Spent, ...]:
        if self.left:
            self.left -= 1
            name = f"moving-{self.left}"
            await self.store.reserve(reservation(name), amounts(), NOON)
            await self.store.settle(name, amounts(), b"{}", NOON)
            assert await self.store.take_rows(1, 0)
        return await super().spent(limit, now, without)


async def test_rows_that_move_meanwhile_make_it_look_again() -> None:
    store = MemoryLimitsStore()
    ledger = Moving(store, times=3)
    (compared,) = await checked(Reconciling(store, ledger, FakeClock()), [usd_limit("1")])
    assert compared.drift == 0
    assert len(ledger.sums_asked) == 4


async def test_rows_that_never_stop_moving_are_told() -> None:
    store = MemoryLimitsStore()
    reconciling = Reconciling(store, Moving(store, times=1000), FakeClock())
    with pytest.raises(PolicyUnavailable, match="team:search:usd_per_month"):
        await checked(reconciling, [usd_limit("1")])
