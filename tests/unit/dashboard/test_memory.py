"""What is remembered of the service's answers: for whom, and for how long."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from dashboard.api.client import FRESH_S
from dashboard.memory import Memory

TIMEOUT_S = 30


class Clock:
    """Goes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Service:
    """Answers with how often it was asked."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> bytes:
        self.times += 1
        return str(self.times).encode()


def test_an_answer_is_remembered_for_as_long_as_whoever_asks_lets_it_be_old():
    memory, service = Memory(clock=(clock := Clock())), Service()

    def asked(old_s: float = FRESH_S) -> bytes:
        return memory("a", "costs", (("x", "1"),), service, old_s)

    assert [asked(), asked()] == [b"1", b"1"]
    clock.now_s += FRESH_S
    assert asked(60) == b"1"
    assert asked() == b"2"


@pytest.mark.parametrize(
    "other", [("b", "costs", ()), ("a", "usage", ()), ("a", "costs", (("x", "1"),))]
)
def test_nobody_is_given_what_was_answered_to_another_or_to_another_question(
    other: tuple[str, str, tuple[tuple[str, str], ...]],
):
    memory, service = Memory(), Service()
    assert memory("a", "costs", (), service, FRESH_S) == b"1"
    assert memory(*other, service, FRESH_S) == b"2"


def test_what_failed_is_asked_anew():
    memory = Memory()

    def fail() -> bytes:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        memory("a", "costs", (), fail, FRESH_S)
    assert memory("a", "costs", (), Service(), FRESH_S) == b"1"


def test_the_oldest_go_when_there_are_too_many():
    memory, service = Memory(most=2), Service()
    for path in ("one", "two", "three"):
        memory("a", path, (), service, FRESH_S)
    assert memory("a", "three", (), service, FRESH_S) == b"3"
    assert memory("a", "one", (), service, FRESH_S) == b"4"


def _while_one_asks(
    memory: Memory, fails: bool, meanwhile: Callable[[ThreadPoolExecutor], object]
) -> None:
    """Run something while a question of `a` is on its way."""
    began, may_end = Event(), Event()

    def slow() -> bytes:
        began.set()
        assert may_end.wait(TIMEOUT_S)
        if fails:
            raise ValueError("no")
        return b"slow"

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(memory, "a", "costs", (), slow, FRESH_S)
        assert began.wait(TIMEOUT_S)
        second = meanwhile(threads)
        may_end.set()
        for one in (first, second):
            if not hasattr(one, "result"):
                continue
            if fails:
                with pytest.raises(ValueError, match="no"):
                    one.result(TIMEOUT_S)
            else:
                assert one.result(TIMEOUT_S) == b"slow"


@pytest.mark.parametrize("fails", [False, True])
def test_what_is_being_asked_is_not_asked_twice(fails: bool):
    service = Service()
    memory = Memory()
    _while_one_asks(
        memory, fails, lambda threads: threads.submit(memory, "a", "costs", (), service, FRESH_S)
    )
    assert service.times == 0


def test_what_was_asked_before_a_change_is_not_remembered_after_it():
    memory, service = Memory(), Service()
    _while_one_asks(memory, False, lambda _: memory.forget())
    assert memory("a", "costs", (), service, FRESH_S) == b"1"
