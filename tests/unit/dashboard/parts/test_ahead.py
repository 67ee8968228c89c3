"""Questions that are asked at once."""

from threading import Barrier, Event

from dashboard.api.errors import Unreachable
from dashboard.parts import ahead

TIMEOUT_S = 30


def test_all_are_asked_at_the_same_time_and_none_is_waited_for():
    # Each waits for the others, and for who asks: in turn none would ever come back.
    together = Barrier(4, timeout=TIMEOUT_S)
    ahead.ask(*[together.wait] * 3)
    together.wait()
    assert not together.broken


def test_what_fails_is_left_to_the_part_that_needs_it():
    asked = Event()

    def fail() -> None:
        raise Unreachable("nobody", "look")

    ahead.ask(fail, asked.set)
    assert asked.wait(TIMEOUT_S)
