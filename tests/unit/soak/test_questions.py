import json
from collections import Counter

import pytest

from tests.soak.questions import CANARY, Kind, mark_in, question


def test_a_number_gives_the_same_question_each_time() -> None:
    assert question(1, 42) == question(1, 42)
    assert question(1, 42) != question(2, 42)


def test_every_kind_is_asked_and_most_are_to_be_served() -> None:
    kinds = Counter(question(1, number).kind for number in range(500))
    assert set(kinds) == set(Kind)
    assert kinds[Kind.SERVED] > 300


def test_each_has_a_mark_of_its_own_and_the_canary() -> None:
    asked = [question(1, number) for number in range(200)]
    assert len({one.mark for one in asked}) == len(asked)
    for one in asked:
        assert mark_in(one.body.decode()) == one.mark
        assert CANARY in one.body.decode()


def test_whole_and_streamed_stays_and_leaves() -> None:
    asked = [question(1, number) for number in range(300)]
    served = [one for one in asked if one.kind is Kind.SERVED]
    assert {one.is_streaming for one in served} == {True, False}
    assert {one.leaves_after_s is None for one in served} == {True, False}
    assert {one.is_embedding for one in served} == {True, False}


def test_a_broken_body_is_no_json() -> None:
    broken = next(
        one for one in (question(1, number) for number in range(500)) if one.kind is Kind.BROKEN
    )
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(broken.body)
