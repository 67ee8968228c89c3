import hashlib
import re

from policy_service.keys import digest_of, new_key, prefix_of


def test_a_key_is_gk_and_43_characters_that_need_no_quoting_anywhere():
    keys = {new_key() for _ in range(500)}
    assert len(keys) == 500
    assert all(re.fullmatch(r"gk-[0-9A-Za-z]{43}", key) for key in keys)


def test_a_digest_is_sha_256_in_hexadecimal():
    assert digest_of("gk-x") == hashlib.sha256(b"gk-x").hexdigest()
    assert digest_of("gk-x") != digest_of("gk-y")


def test_any_text_at_all_has_a_digest():
    """A credential is whatever a client sends, lone surrogates included."""
    assert len(digest_of("\udc00\x00é")) == 64


def test_the_prefix_shows_eight_characters_of_the_secret():
    key = new_key()
    assert prefix_of(key) == key[:11]
