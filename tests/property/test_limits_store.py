from collections.abc import Sequence
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.adapters.pico_usd import MAX_USD, joined, limit_usd, split, taken_usd
from policy_service.adapters.windows import SKEW_BUCKETS, WINDOW_MS, Window
from policy_service.ports.limits import LimitsStore
from tests.fixtures.limits_machine import LimitsMachine

START_MS = 1_795_176_000_000

Takes = Sequence[tuple[int, int]]
pauses_ms = st.one_of(st.integers(0, 2_500), st.integers(0, 61_500))
takes = st.lists(st.tuples(pauses_ms, st.integers(1, 12)), max_size=60)


class MemoryMachine(LimitsMachine):
    def make_store(self) -> LimitsStore:
        return MemoryLimitsStore()


TestMemoryStoreDoesWhatTheModelDoes = MemoryMachine.TestCase
TestMemoryStoreDoesWhatTheModelDoes.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None
)


def taken_up_to(amount: int, calls: Takes) -> list[tuple[int, int]]:
    """When how much was let through."""
    window, now_ms, passed = Window(), START_MS, []
    for pause_ms, count in calls:
        now_ms += pause_ms
        if window.fits_in_ms(count, amount, now_ms) == 0:
            window.take(count, now_ms)
            passed.append((now_ms, count))
    return passed


@given(calls=takes, amount=st.integers(1, 40))
def test_no_sixty_seconds_ever_hold_more_than_the_amount(calls: Takes, amount: int) -> None:
    passed = taken_up_to(amount, calls)
    for end_ms, _ in passed:
        within = [count for at_ms, count in passed if end_ms - WINDOW_MS < at_ms <= end_ms]
        assert sum(within) <= amount


@given(calls=takes, amount=st.integers(12, 40), wanted=st.integers(1, 12))
def test_a_refused_call_fits_when_it_was_told_and_never_sooner(
    calls: Takes, amount: int, wanted: int
) -> None:
    window, now_ms = Window(), START_MS
    for pause_ms, count in calls:
        now_ms += pause_ms
        if window.fits_in_ms(count, amount, now_ms) == 0:
            window.take(count, now_ms)
    wait_ms = window.fits_in_ms(wanted, amount, now_ms)
    assert wait_ms is not None
    assert wait_ms <= WINDOW_MS + 999
    assert window.fits_in_ms(wanted, amount, now_ms + wait_ms) == 0
    if wait_ms:
        assert window.fits_in_ms(wanted, amount, now_ms + wait_ms - 1) == 1


@given(calls=takes)
def test_a_window_is_empty_a_minute_and_a_second_later(calls: Takes) -> None:
    window, now_ms = Window(), START_MS
    for pause_ms, count in calls:
        now_ms += pause_ms
        window.take(count, now_ms)
    assert window.used(now_ms + WINDOW_MS + 999) == 0


@given(
    skews_ms=st.lists(
        st.tuples(pauses_ms, st.integers(0, (SKEW_BUCKETS - 1) * 1000), st.integers(1, 12)),
        max_size=60,
    ),
    amount=st.integers(1, 40),
)
def test_slow_clocks_do_not_let_more_through_by_the_fast_one(
    skews_ms: list[tuple[int, int, int]], amount: int
) -> None:
    """By the clock of a process that is never behind, and that calls right before the slow one."""
    window, now_ms, passed = Window(), START_MS, []
    for pause_ms, behind_ms, count in skews_ms:
        now_ms += pause_ms
        if window.fits_in_ms(1, amount, now_ms) == 0:
            window.take(1, now_ms)
            passed.append((now_ms, 1))
        if window.fits_in_ms(count, amount, now_ms - behind_ms) == 0:
            window.take(count, now_ms - behind_ms)
            passed.append((now_ms, count))
            window_start_ms = now_ms - WINDOW_MS
            assert sum(c for at_ms, c in passed if at_ms > window_start_ms) <= amount


usd = st.decimals(0, MAX_USD, places=12)


@given(usd)
def test_money_survives_being_split(amount: Decimal) -> None:
    micro, pico = split(taken_usd(amount))
    assert joined(micro, pico) == amount
    assert 0 <= pico < 1_000_000
    assert micro < 2**53


@given(usd, usd)
def test_split_money_compares_like_money(one: Decimal, other: Decimal) -> None:
    assert (split(one) > split(other)) == (one > other)


@given(st.decimals(0, allow_nan=False, allow_infinity=False))
def test_a_limit_is_never_rounded_up_and_a_charge_beyond_all_limits_stays_beyond(
    amount: Decimal,
) -> None:
    assert limit_usd(amount) <= amount
    if amount > MAX_USD:
        assert taken_usd(amount) > limit_usd(amount)
