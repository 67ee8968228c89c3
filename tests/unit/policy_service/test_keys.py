import hashlib
import re
import zlib

import pytest

from policy_service.keys import digest_of, is_mistyped, new_key, prefix_of

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def test_a_key_is_gk_and_49_characters_that_need_no_quoting_anywhere():
    keys = {new_key() for _ in range(500)}
    assert len(keys) == 500
    assert all(re.fullmatch(r"gk-[0-9A-Za-z]{49}", key) for key in keys)
    assert not any(is_mistyped(key) for key in keys)


def test_the_checksum_is_crc_32_of_what_stands_before_it_in_base62():
    key = new_key()
    number = 0
    for digit in key[-6:]:
        number = number * 62 + BASE62.index(digit)
    assert number == zlib.crc32(key[:-6].encode())


@pytest.mark.parametrize("place", [3, 20, 45, 46, 51])
def test_one_wrong_character_anywhere_is_a_typo(place: int):
    key = new_key()
    for wrong in BASE62.replace(key[place], ""):
        assert is_mistyped(key[:place] + wrong + key[place + 1 :])


def test_two_characters_that_changed_places_are_a_typo():
    key = next(key for key in iter(new_key, "") if key[10] != key[11])
    assert is_mistyped(key[:10] + key[11] + key[10] + key[12:])


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("gk-" + "a" * 43, False),  # from before there was a checksum
        ("gk-", True),
        ("gk-" + "a" * 42, True),
        ("gk-" + "a" * 42 + "\udc00", True),
        ("gk-" + "a" * 48 + "é", True),
        ("sk-somebody-elses", False),
        ("", False),
    ],
)
def test_what_was_never_a_key_of_ours_is_no_typo_of_one(key: str, expected: bool):
    assert is_mistyped(key) is expected


def test_another_kind_of_secret_has_another_mark():
    token = new_key("ga-")
    assert token.startswith("ga-")
    assert not is_mistyped(token, "ga-")
    assert is_mistyped(token[:-1], "ga-")


def test_a_digest_is_sha_256_in_hexadecimal():
    assert digest_of("gk-x") == hashlib.sha256(b"gk-x").hexdigest()
    assert digest_of("gk-x") != digest_of("gk-y")


def test_any_text_at_all_has_a_digest():
    """A credential is whatever a client sends, lone surrogates included."""
    assert len(digest_of("\udc00\x00é")) == 64


def test_the_prefix_shows_eight_characters_of_the_secret():
    key = new_key()
    assert prefix_of(key) == key[:11]
