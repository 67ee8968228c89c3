import pytest

from kong_plugins.llm_auth import cache as module
from kong_plugins.llm_auth.cache import CallerCache, Freshness
from tests.fakes.samples import CALLER

FRESH, STALE, ABSENT = Freshness.FRESH, Freshness.STALE, Freshness.ABSENT


def test_a_known_caller_is_fresh_then_stale_then_gone() -> None:
    cache = CallerCache(ttl_s=5, negative_ttl_s=1, stale_if_error_s=300)
    cache.remember("d", CALLER, now_s=100)
    assert cache.look_up("d", 104.9) == (FRESH, CALLER)
    assert cache.look_up("d", 105) == (STALE, CALLER)
    assert cache.look_up("d", 399.9) == (STALE, CALLER)
    assert cache.look_up("d", 400) == (ABSENT, None)
    assert cache.look_up("d", 101) == (ABSENT, None)


def test_an_unknown_one_is_remembered_shorter_and_never_used_stale() -> None:
    cache = CallerCache(ttl_s=5, negative_ttl_s=1, stale_if_error_s=300)
    cache.remember("d", None, now_s=100)
    assert cache.look_up("d", 100.9) == (FRESH, None)
    assert cache.look_up("d", 101) == (ABSENT, None)


def test_nothing_is_fresh_with_a_time_of_zero_but_an_outage_is_still_bridged() -> None:
    cache = CallerCache(ttl_s=0, negative_ttl_s=0, stale_if_error_s=10)
    cache.remember("d", CALLER, now_s=100)
    assert cache.look_up("d", 100) == (STALE, CALLER)


def test_a_later_answer_replaces_an_earlier_one() -> None:
    cache = CallerCache(ttl_s=5, negative_ttl_s=5, stale_if_error_s=300)
    cache.remember("d", CALLER, now_s=100)
    cache.remember("d", None, now_s=101)
    assert cache.look_up("d", 102) == (FRESH, None)


def test_the_oldest_gives_way_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 2)
    cache = CallerCache(ttl_s=5, negative_ttl_s=1, stale_if_error_s=300)
    for digest in ("a", "b", "a", "c"):
        cache.remember(digest, CALLER, now_s=100)
    assert [cache.look_up(digest, 101)[0] for digest in "abc"] == [FRESH, ABSENT, FRESH]
