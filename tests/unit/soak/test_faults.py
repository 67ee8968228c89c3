from hypothesis import given
from hypothesis import strategies as st

from tests.soak.faults import EVERY, Blow, Part, Trouble, is_troubled, schedule


def test_a_seed_gives_the_same_faults_each_time() -> None:
    assert schedule(7, 600) == schedule(7, 600)
    assert schedule(7, 600) != schedule(8, 600)


def test_a_longer_run_begins_as_a_shorter_one() -> None:
    short = schedule(3, 120)
    assert schedule(3, 600)[: len(short)] == short


@given(seed=st.integers(0, 10_000))
def test_faults_are_over_in_time_and_no_part_is_struck_twice_at_once(seed: int) -> None:
    faults = schedule(seed, 300)
    assert len(faults) > 20
    assert all(fault.until_s <= 300 for fault in faults)
    assert [fault.at_s for fault in faults] == sorted(fault.at_s for fault in faults)
    for place, fault in enumerate(faults):
        later = [other for other in faults[place + 1 :] if other.part is fault.part]
        assert all(other.at_s > fault.until_s for other in later)


def test_everything_comes_once_before_anything_comes_again() -> None:
    kinds = [(fault.part, fault.blow) for fault in schedule(5, 3600)]
    assert sorted(kinds[: len(EVERY)]) == sorted(EVERY)
    assert {blow for _, blow in EVERY} == set(Blow)


def test_a_slowed_wire_says_by_how_much() -> None:
    faults = schedule(1, 3600)
    assert all((fault.slowed_s > 0) is (fault.blow is Blow.SLOW) for fault in faults)


def test_a_request_is_troubled_if_a_trouble_falls_into_it() -> None:
    troubles = [Trouble(10, 12, Part.OPA), Trouble(20, float("inf"), Part.OPA)]
    assert not is_troubled(troubles, 5, 9)
    assert is_troubled(troubles, 5, 11)
    assert is_troubled(troubles, 5, 15)
    assert not is_troubled(troubles, 13, 19)
    assert is_troubled(troubles, 13, 25)
