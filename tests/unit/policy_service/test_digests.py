"""Keyed digests match what is equal, and only under the same key and organisation."""

import hashlib

import pytest

from policy_service.digests import Digests

KEY = b"k" * 32


def test_equal_data_have_equal_digests() -> None:
    assert Digests(KEY).of("acme", b"yes") == Digests(KEY).of("acme", b"yes")


def test_another_organisation_or_key_gives_another_digest() -> None:
    own = Digests(KEY).of("acme", b"yes")
    assert Digests(KEY).of("globex", b"yes") != own
    assert Digests(b"l" * 32).of("acme", b"yes") != own


def test_where_the_organisation_ends_and_the_data_begin_is_no_matter_of_taste() -> None:
    assert Digests(KEY).of("ac", b"me") != Digests(KEY).of("acme", b"")


def test_a_digest_is_not_the_plain_one_that_anybody_can_try() -> None:
    assert Digests(KEY).of("", b"yes") != hashlib.sha256(b"yes").hexdigest()
    assert len(Digests(KEY).of("", b"yes")) == 64


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 32 bytes"):
        Digests(b"short")


def test_a_secret_of_any_length_gives_one_key() -> None:
    one = Digests.from_secret("a-secret")
    assert one.of("acme", b"x") == Digests.from_secret("a-secret").of("acme", b"x")
    assert one.of("acme", b"x") != Digests.from_secret("another").of("acme", b"x")
