"""Questions that are asked at once."""

from threading import Barrier

import pytest

from dashboard.api.errors import NotOffered, NotPermitted, Refused, Unreachable
from dashboard.parts import ahead

TIMEOUT_S = 30


def test_all_are_asked_at_the_same_time():
    # Each waits for the others: in turn none would ever come back.
    together = Barrier(3, timeout=TIMEOUT_S)
    ahead.ask(*[together.wait] * 3)
    assert together.n_waiting == 0
    assert not together.broken


@pytest.mark.parametrize("failure", [NotOffered, NotPermitted, Refused])
def test_what_is_refused_is_left_to_the_part_that_needs_it(failure: type[Exception]):
    asked: list[str] = []

    def refuse() -> None:
        raise failure("no", "ask")

    ahead.ask(refuse, lambda: asked.append("the next one"))
    assert asked == ["the next one"]


def test_that_nobody_answers_is_told_at_once():
    def fail() -> None:
        raise Unreachable("nobody", "look")

    with pytest.raises(Unreachable):
        ahead.ask(fail, lambda: None)
