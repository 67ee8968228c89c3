import pytest

from policy_service.adapters.content_keys import ContentKeys, content_keys, new_content_key
from policy_service.ports.content import Damaged, NoKey, Part

WORDS = b'{"messages": [{"role": "user", "content": "the merger is called Blue Heron"}]}'


def test_what_was_sealed_opens_and_shows_nothing_before() -> None:
    keys = ContentKeys({"default": new_content_key()})
    sealed = keys.seal("acme", "dec_1", Part.QUESTION, WORDS)
    assert b"Heron" not in sealed
    assert keys.opened(keys.key_id("acme"), "acme", "dec_1", Part.QUESTION, sealed) == WORDS


def test_the_same_words_are_never_sealed_alike() -> None:
    keys = ContentKeys({"default": new_content_key()})
    assert len({keys.seal("acme", "dec_1", Part.QUESTION, WORDS) for _ in range(100)}) == 100


@pytest.mark.parametrize(
    ("organisation", "decision_id", "part"),
    [
        ("other", "dec_1", Part.QUESTION),
        ("acme", "dec_2", Part.QUESTION),
        ("acme", "dec_1", Part.ANSWER),
        ("acmedec", "_1", Part.QUESTION),
    ],
)
def test_sealed_words_open_in_their_own_place_only(
    organisation: str, decision_id: str, part: Part
) -> None:
    keys = ContentKeys({"default": new_content_key()})
    sealed = keys.seal("acme", "dec_1", Part.QUESTION, WORDS)
    with pytest.raises(Damaged):
        keys.opened(keys.key_id("acme"), organisation, decision_id, part, sealed)


def test_a_change_of_any_byte_is_noticed() -> None:
    keys = ContentKeys({"default": new_content_key()})
    sealed = keys.seal("acme", "dec_1", Part.ANSWER, b"yes")
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(Damaged):
            keys.opened(keys.key_id("acme"), "acme", "dec_1", Part.ANSWER, bytes(changed))
    for length in range(len(sealed)):
        with pytest.raises(Damaged):
            keys.opened(keys.key_id("acme"), "acme", "dec_1", Part.ANSWER, sealed[:length])


def test_the_newest_key_seals_and_the_older_ones_open() -> None:
    old, new = new_content_key(), new_content_key()
    before, after = ContentKeys({"default": old}), ContentKeys({"default": f"{new}\n{old}\n"})
    sealed = before.seal("acme", "dec_1", Part.QUESTION, WORDS)
    key_id = before.key_id("acme")
    assert after.opened(key_id, "acme", "dec_1", Part.QUESTION, sealed) == WORDS
    assert after.key_id("acme") == ContentKeys({"default": new}).key_id("acme") != key_id
    with pytest.raises(NoKey):
        ContentKeys({"default": new}).opened(key_id, "acme", "dec_1", Part.QUESTION, sealed)


def test_an_organisation_with_keys_of_its_own_does_not_use_the_others() -> None:
    keys = ContentKeys({"default": new_content_key(), "acme": new_content_key()})
    assert keys.key_id("acme") != keys.key_id("other") == keys.key_id("third")
    sealed = keys.seal("other", "dec_1", Part.QUESTION, WORDS)
    with pytest.raises(NoKey):
        keys.opened(keys.key_id("other"), "acme", "dec_1", Part.QUESTION, sealed)


def test_without_a_key_nothing_is_sealed() -> None:
    keys = ContentKeys({"acme": new_content_key()})
    assert keys.key_id("other") is None
    with pytest.raises(NoKey):
        keys.seal("other", "dec_1", Part.QUESTION, WORDS)


@pytest.mark.parametrize("text", ["", "  ", "short", "x" * 43 + "!", "A" * 42, "A" * 86])
def test_what_is_no_key_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="acme") as refused:
        ContentKeys({"acme": text})
    assert not text.strip() or text not in str(refused.value)


def test_the_settings_name_secrets_that_must_be_there() -> None:
    key = new_content_key()
    found = content_keys({"acme": "content_acme"}, {"content_acme": key}.get)
    assert found is not None
    assert found.key_id("acme")
    assert content_keys({}, {}.get) is None
    with pytest.raises(ValueError, match="content_acme"):
        content_keys({"acme": "content_acme"}, {}.get)
