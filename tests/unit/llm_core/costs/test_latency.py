"""Percentiles of what was counted by slot."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_core.costs.latency import BOUNDS_US, RELATIVE_ERROR, percentile_ms, slot_of, told_ms

FIGURES_US = st.integers(BOUNDS_US[0], BOUNDS_US[-1] - 1)


@given(st.lists(FIGURES_US, min_size=1, max_size=200), st.sampled_from([50, 95, 99, 100]))
def test_a_percentile_is_that_of_the_nearest_rank_within_the_error(
    figures_us: list[int], percent: int
) -> None:
    counts = Counter(map(slot_of, figures_us))
    true_us = sorted(figures_us)[-(-len(figures_us) * percent // 100) - 1]
    found_ms = percentile_ms(counts, percent)
    assert found_ms is not None
    assert abs(found_ms * 1000 - true_us) <= RELATIVE_ERROR * true_us + 0.5


def test_counts_of_two_times_add_up() -> None:
    one, other = Counter({3: 10}), Counter({3: 5, 90: 1})
    assert percentile_ms(one + other, 99) == round(told_ms(90), 3)


@pytest.mark.parametrize("counts", [{}, {5: 0}])
def test_nothing_has_no_percentile(counts: dict[int, int]) -> None:
    assert percentile_ms(counts, 50) is None


def test_what_lies_beyond_the_bounds_is_told_as_the_nearest() -> None:
    assert told_ms(slot_of(0)) == 0.1
    assert told_ms(slot_of(10**15)) == pytest.approx(BOUNDS_US[-1] / 1000)
