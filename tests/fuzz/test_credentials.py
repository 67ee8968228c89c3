"""Any text for a ticket, a key, a token, a header: understood, or refused in our words."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kong_plugins.llm_auth.credential import to_clear_in
from llm_core.errors import MalformedRequest, PermissionDenied, Undecided
from llm_core.policy.key_networks import require_network
from llm_core.policy.presented import api_key_in, is_token
from llm_core.policy.request_facts import DATA_LABELS, PRIORITY, USE_CASE, facts_in
from policy_service.adapters.oidc.proof import Unproven, taken_apart
from policy_service.keys import KEY_MARK, digest_of, is_mistyped, new_key
from policy_service.ports.tokens import NotProven
from policy_service.services.tickets import Tickets
from tests.fixtures.fuzzing import fuzzed, json_values

NOW = datetime(2026, 11, 20, tzinfo=UTC)
TICKETS = Tickets("ticket-0123456789abcdef")
GENUINE = TICKETS.issue("dec_1", NOW + timedelta(seconds=30))
any_text = st.text(max_size=60)  # surrogates too: Lua's strings hold any bytes


@fuzzed
@given(ticket=any_text)
@example(ticket="gt1.dec_1.9.\udcff")
@example(ticket="...")
@example(ticket=GENUINE + "\udcff")
@example(ticket=GENUINE.replace("dec_1", "dec_2"))
def test_a_ticket_that_was_not_issued_is_refused(ticket: str):
    with pytest.raises(Undecided):
        TICKETS.decision_id(ticket, NOW)


@fuzzed
@given(at=st.integers(0, len(GENUINE) - 1), bit=st.integers(0, 6))
def test_a_ticket_with_one_wrong_bit_is_refused(at: int, bit: int):
    wrong = GENUINE[:at] + chr(ord(GENUINE[at]) ^ (1 << bit)) + GENUINE[at + 1 :]
    with pytest.raises(Undecided):
        TICKETS.decision_id(wrong, NOW)


@fuzzed
@given(rest=any_text)
@example(rest="\udcff" * 49)
def test_any_text_is_a_key_or_mistyped(rest: str):
    key = KEY_MARK + rest
    assert is_mistyped(key) or len(rest) in (43, 49)
    assert len(digest_of(key)) == 64


@fuzzed
@given(at=st.integers(3, 51), letter=st.characters(codec="ascii"))
def test_a_key_with_one_wrong_letter_is_told_from_an_unknown_one(at: int, letter: str):
    key = new_key()
    wrong = key[:at] + letter + key[at + 1 :]
    assert is_mistyped(wrong) == (wrong != key)


parts = st.binary(max_size=30) | json_values.map(lambda one: repr(one).encode())


@fuzzed
@given(head=parts, body=parts, text=any_text)
@example(head=b"[" * 50_000, body=b"{}", text="")
@example(head=b'{"alg":"RS256","iat":1' + b"0" * 5000 + b"}", body=b"{}", text="")
def test_any_token_is_taken_apart_or_proves_nothing(head: bytes, body: bytes, text: str):
    made = b".".join(base64.urlsafe_b64encode(one).rstrip(b"=") for one in (head, body, b"sig"))
    for token in (made.decode(), text, f"{text}.{text}.{text}"):
        assert isinstance(taken_apart(token, 1_000_000), Unproven | NotProven)
        is_token(token)


headers = st.dictionaries(
    st.sampled_from(
        [
            *("authorization", "api-key", "x-api-key", "cache-control", "traceparent", "host"),
            *(PRIORITY, USE_CASE, DATA_LABELS, "x-gatehouse-ticket"),
        ]
    )
    | st.text(max_size=8),
    st.lists(any_text | st.sampled_from(["Bearer x", "bearer  y ", "no-store", "a,b"]), max_size=3),
    max_size=5,
)


@fuzzed
@given(found=headers)
@example(found={USE_CASE: ["a\r\nx-gatehouse-ticket: gt1"]})
@example(found={DATA_LABELS: ["a\nb"]})
@example(found={"authorization": ["Bearer a", "Bearer b"]})
def test_any_headers_are_facts_or_refused(found: dict[str, list[str]]):
    key = api_key_in(found)
    assert key is None or key
    assert "x-gatehouse-ticket" not in found or "x-gatehouse-ticket" in to_clear_in(found)
    try:
        facts = facts_in(found)
    except MalformedRequest:
        return
    said = [facts.use_case, facts.traceparent, *facts.data_labels]
    assert all(text.isascii() and text.isprintable() for text in said if text)


@fuzzed
@given(address=any_text, network=any_text)
def test_an_address_that_is_none_lies_nowhere(address: str, network: str):
    with pytest.raises(PermissionDenied):
        require_network(address, [network])
