from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_core.tokens.usage import TokenUsage, sum_of

NAMES = [field.name for field in fields(TokenUsage)]
usages = st.builds(TokenUsage, **{name: st.none() | st.integers(0, 10**9) for name in NAMES})


@pytest.mark.parametrize(
    ("usage", "total", "is_reported"),
    [
        (TokenUsage(), 0, False),
        (TokenUsage(5), 5, False),
        (TokenUsage(output_tokens=5), 5, False),
        (TokenUsage(0, output_tokens=0), 0, True),
        (TokenUsage(5, cached_input_tokens=4, output_tokens=3, reasoning_tokens=2), 8, True),
    ],
)
def test_buckets_within_a_direction_are_not_added_to_it(
    usage: TokenUsage, total: int, is_reported: bool
) -> None:
    assert (usage.total_tokens, usage.is_reported) == (total, is_reported)


def test_nothing_adds_up_to_nothing_reported() -> None:
    assert sum_of([]) == TokenUsage()


@given(st.lists(usages, max_size=5))
def test_a_sum_loses_no_token_and_reports_what_anybody_reported(parts: list[TokenUsage]) -> None:
    total = sum_of(parts)
    for name in NAMES:
        reported = [value for part in parts if (value := getattr(part, name)) is not None]
        assert getattr(total, name) == (sum(reported) if reported else None)


@given(usages, usages, usages)
def test_the_order_of_adding_does_not_matter(a: TokenUsage, b: TokenUsage, c: TokenUsage) -> None:
    assert sum_of([sum_of([a, b]), c]) == sum_of([a, sum_of([c, b])])
