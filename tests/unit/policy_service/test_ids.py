import re
from itertools import pairwise

import pytest

from policy_service import ids
from policy_service.ids import new_id


def test_an_id_names_its_kind_and_fits_into_a_ticket() -> None:
    """A ticket's parts are divided by dots, so an id has none."""
    assert re.fullmatch(r"dec_[0-9a-hjkmnp-tv-z]{26}", new_id("dec"))


def test_no_two_ids_are_alike() -> None:
    assert len({new_id("dec") for _ in range(5000)}) == 5000


def test_ids_sort_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(n * 1_000_000_000 for n in range(1_763_640_000, 1_763_640_900, 100))
    monkeypatch.setattr(ids.time, "time_ns", lambda: next(times))
    made = [new_id("dec") for _ in range(9)]
    assert all(earlier < later for earlier, later in pairwise(made))


def test_the_first_ten_characters_are_the_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids.time, "time_ns", lambda: (2**48 - 1) * 1_000_000)
    assert new_id("x")[2:12] == "7zzzzzzzzz"
    monkeypatch.setattr(ids.time, "time_ns", lambda: 33_000_000)
    assert new_id("x")[2:12] == "0000000011"
