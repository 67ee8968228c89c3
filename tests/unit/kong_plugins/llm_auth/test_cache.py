from dataclasses import replace

import pytest

from kong_plugins._runtime.policy_client import Identity
from kong_plugins.llm_auth import cache as module
from kong_plugins.llm_auth.cache import CallerCache, Freshness
from tests.fakes.samples import CALLER

FRESH, STALE, ABSENT = Freshness.FRESH, Freshness.STALE, Freshness.ABSENT
KNOWN = Identity(CALLER)
OTHER = Identity(replace(CALLER, key_id="key-2"))
NOBODY = Identity(unknown="revoked")


def cache_of(ttl_s: float = 5, negative_ttl_s: float = 1, stale_if_error_s: float = 300):
    return CallerCache(ttl_s, negative_ttl_s, stale_if_error_s)


def test_a_known_caller_is_fresh_then_stale_then_gone() -> None:
    cache = cache_of()
    cache.remember("d", KNOWN, asked_s=100)
    assert cache.look_up("d", 104.9) == (FRESH, KNOWN)
    assert cache.look_up("d", 105) == (STALE, KNOWN)
    assert cache.look_up("d", 399.9) == (STALE, KNOWN)
    assert cache.look_up("d", 400) == (ABSENT, None)
    assert cache.look_up("d", 101) == (ABSENT, None)


def test_an_unknown_one_is_remembered_shorter_and_never_used_stale() -> None:
    cache = cache_of()
    cache.remember("d", NOBODY, asked_s=100)
    assert cache.look_up("d", 100.9) == (FRESH, NOBODY)
    assert cache.look_up("d", 101) == (ABSENT, None)


def test_nothing_is_fresh_with_a_time_of_zero_but_an_outage_is_still_bridged() -> None:
    cache = cache_of(ttl_s=0, negative_ttl_s=0, stale_if_error_s=10)
    cache.remember("d", KNOWN, asked_s=100)
    assert cache.look_up("d", 100) == (STALE, KNOWN)


def test_nobody_is_known_longer_than_their_credential_is_good_stale_neither() -> None:
    cache = cache_of()
    cache.remember("d", KNOWN, asked_s=100, ends_s=102)
    assert cache.look_up("d", 101.9) == (FRESH, KNOWN)
    assert cache.look_up("d", 102) == (ABSENT, None)


def test_a_key_that_is_being_rotated_is_forgotten_by_both_of_its_texts() -> None:
    cache = cache_of()
    for digest in ("old text", "new text"):
        cache.remember(digest, KNOWN, asked_s=100)
    assert CALLER.key_id is not None
    cache.forget_key(CALLER.key_id, 101)
    for digest in ("old text", "new text"):
        assert cache.look_up(digest, 102) == (ABSENT, None)


def test_a_later_answer_replaces_an_earlier_one() -> None:
    cache = cache_of(negative_ttl_s=5)
    cache.remember("d", KNOWN, asked_s=100)
    cache.remember("d", NOBODY, asked_s=101)
    assert cache.look_up("d", 102) == (FRESH, NOBODY)
    cache.remember("d", KNOWN, asked_s=103)
    assert cache.look_up("d", 104) == (FRESH, KNOWN)


def test_the_oldest_gives_way_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_KNOWN", 2)
    cache = cache_of()
    for digest in ("a", "b", "a", "c"):
        cache.remember(digest, KNOWN, asked_s=100)
    assert [cache.look_up(digest, 101)[0] for digest in "abc"] == [FRESH, ABSENT, FRESH]


def test_a_flood_of_wrong_keys_displaces_nobody_who_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_MOST_UNKNOWN", 3)
    cache = cache_of()
    cache.remember("known", KNOWN, asked_s=100)
    for number in range(10):
        cache.remember(f"wrong-{number}", NOBODY, asked_s=100)
    assert cache.look_up("known", 100.5) == (FRESH, KNOWN)
    assert [cache.look_up(f"wrong-{number}", 100.5)[0] for number in (6, 7, 9)] == [
        ABSENT, FRESH, FRESH,
    ]  # fmt: skip


def test_a_changed_key_is_gone_at_once_and_others_stay() -> None:
    cache = cache_of()
    cache.remember("d", KNOWN, asked_s=100)
    cache.remember("e", OTHER, asked_s=100)
    cache.forget_key("key-1", 101)
    assert cache.look_up("d", 101.1) == (ABSENT, None)
    assert cache.look_up("e", 101.1) == (FRESH, OTHER)
    cache.forget_key("nobody-has-it", 102)


def test_an_answer_that_was_asked_for_before_its_key_changed_is_not_kept() -> None:
    """The question was on its way when the key was revoked: the answer says what was."""
    cache = cache_of()
    cache.forget_key("key-1", 101)
    cache.remember("d", KNOWN, asked_s=100.9)
    assert cache.look_up("d", 101.1) == (ABSENT, None)
    cache.remember("d", KNOWN, asked_s=101.1)
    assert cache.look_up("d", 101.2) == (FRESH, KNOWN)


def test_when_anything_may_have_changed_everybody_is_asked_about_and_outages_are_bridged() -> None:
    cache = cache_of(negative_ttl_s=60)
    cache.remember("d", KNOWN, asked_s=100)
    cache.remember("n", NOBODY, asked_s=100)
    cache.ask_anew(101)
    assert cache.look_up("d", 101.1) == (STALE, KNOWN)
    assert cache.look_up("n", 101.1) == (ABSENT, None)
    cache.remember("e", OTHER, asked_s=100.9)
    assert cache.look_up("e", 101.1) == (STALE, OTHER)
    cache.remember("d", KNOWN, asked_s=101.2)
    assert cache.look_up("d", 101.3) == (FRESH, KNOWN)
