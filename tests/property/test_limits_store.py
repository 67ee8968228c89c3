from collections.abc import Sequence
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.adapters.pico_usd import MAX_USD, limit_usd, micro_text, taken_usd, usd_of
from policy_service.adapters.windows import BUCKETS, MINUTE, SKEW_BUCKETS, Buckets, Window
from policy_service.ports.limits import LimitsStore
from tests.fixtures.limits_machine import REMEMBERED_S, LimitsMachine

START_MS = 1_795_176_000_000

Takes = Sequence[tuple[int, int]]
pauses_ms = st.one_of(st.integers(0, 2_500), st.integers(0, 61_500))
takes = st.lists(st.tuples(pauses_ms, st.integers(1, 12)), max_size=60)
# A longer window is asked the same questions, at a slower pace.
kinds = st.sampled_from(list(BUCKETS.values()))


class MemoryMachine(LimitsMachine):
    def make_store(self) -> LimitsStore:
        return MemoryLimitsStore(
            redelivery_s=3600, remembered_s=REMEMBERED_S, estimate_remembered_s=REMEMBERED_S
        )


TestMemoryStoreDoesWhatTheModelDoes = MemoryMachine.TestCase
TestMemoryStoreDoesWhatTheModelDoes.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None
)


def lived(
    buckets: Buckets, amount: int, calls: Takes
) -> tuple[Window, int, list[tuple[int, Decimal]]]:
    """What let calls through, when it is, and when how much was let through."""
    window, now_ms, passed = Window(buckets), START_MS, []
    for pause_ms, tokens in calls:
        now_ms += pause_ms * buckets.bucket_ms // MINUTE.bucket_ms
        count = Decimal(tokens)
        if window.fits_in_ms(count, Decimal(amount), now_ms) == 0:
            window.take(count, now_ms, now_ms)
            passed.append((now_ms, count))
    return window, now_ms, passed


@given(buckets=kinds, calls=takes, amount=st.integers(1, 40))
def test_no_window_ever_holds_more_than_the_amount(
    buckets: Buckets, calls: Takes, amount: int
) -> None:
    _, _, passed = lived(buckets, amount, calls)
    for end_ms, _ in passed:
        begin_ms = end_ms - buckets.window_ms
        assert sum(count for at_ms, count in passed if begin_ms < at_ms <= end_ms) <= amount


@given(buckets=kinds, calls=takes, amount=st.integers(12, 40), tokens=st.integers(1, 12))
def test_a_refused_call_fits_when_it_was_told_and_never_sooner(
    buckets: Buckets, calls: Takes, amount: int, tokens: int
) -> None:
    window, now_ms, _ = lived(buckets, amount, calls)
    wanted, cap = Decimal(tokens), Decimal(amount)
    wait_ms = window.fits_in_ms(wanted, cap, now_ms)
    assert wait_ms is not None
    assert wait_ms < buckets.window_ms + buckets.bucket_ms
    assert window.fits_in_ms(wanted, cap, now_ms + wait_ms) == 0
    if wait_ms:
        assert window.fits_in_ms(wanted, cap, now_ms + wait_ms - 1) == 1


@given(buckets=kinds, calls=takes)
def test_a_window_is_empty_a_bucket_after_its_time(buckets: Buckets, calls: Takes) -> None:
    window, now_ms, _ = lived(buckets, 10**6, calls)
    assert window.used(now_ms + buckets.window_ms + buckets.bucket_ms - 1) == 0


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
    window, now_ms, passed = Window(MINUTE), START_MS, []
    one, cap = Decimal(1), Decimal(amount)
    for pause_ms, behind_ms, tokens in skews_ms:
        now_ms += pause_ms
        slow_ms, count = now_ms - behind_ms, Decimal(tokens)
        if window.fits_in_ms(one, cap, now_ms) == 0:
            window.take(one, now_ms, now_ms)
            passed.append((now_ms, one))
        if window.fits_in_ms(count, cap, slow_ms) == 0:
            window.take(count, slow_ms, slow_ms)
            passed.append((now_ms, count))
            window_start_ms = now_ms - MINUTE.window_ms
            assert sum(c for at_ms, c in passed if at_ms > window_start_ms) <= amount


usd = st.decimals(0, MAX_USD, places=12)


@given(usd)
def test_money_survives_being_text(amount: Decimal) -> None:
    text = micro_text(taken_usd(amount))
    assert usd_of(text) == amount
    micro, _, pico = text.partition(".")
    assert len(pico) == 6
    assert int(micro) < 2**53


@given(st.decimals(0, allow_nan=False, allow_infinity=False))
def test_a_limit_is_never_rounded_up_and_a_charge_beyond_all_limits_stays_beyond(
    amount: Decimal,
) -> None:
    assert limit_usd(amount) <= amount
    if amount > MAX_USD:
        assert taken_usd(amount) > limit_usd(amount)
