"""Tokens: whatever they say, reading them fails in no other way than by saying why."""

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from jwt import PyJWK

from llm_core.policy.claims import ClaimNames, Claims, claims_of
from policy_service.adapters.oidc import Issuer
from policy_service.adapters.oidc.keys import usable_keys
from policy_service.adapters.oidc.proof import (
    Unproven,
    claims_fault,
    header_fault,
    is_signed,
    taken_apart,
)
from policy_service.ports.tokens import NotProven
from tests.fixtures.oidc_issuer import key, part

NAMES = [
    *("iss", "sub", "aud", "exp", "nbf", "iat", "typ", "alg", "kid", "crit", "b64", "cty", "jwk"),
    *("team", "groups", "roles", "email", "email_verified", "preferred_username", "realm_access"),
    *("", "kty", "n", "e", "crv", "x", "y", "use", "key_ops", "keys"),
]
ANY_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from(["RS256", "ES256", "EdDSA", "none", "HS256", "JWT", "RSA", "EC", "P-256"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), inner, max_size=6),
    max_leaves=12,
)  # fmt: skip
OBJECTS = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), ANY_JSON, max_size=10)
ISSUER = Issuer(
    issuer="https://a.example",
    audience=("gatehouse",),
    discovery_url="https://a.example/discovery",
    algorithms=("RS256", "PS256", "ES256", "EdDSA"),
)
KEYS = usable_keys([key().jwk(alg=None), key("curve", "ES256").jwk()], ISSUER.algorithms)
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def all_texts(claims: Claims) -> list[str]:
    told = (claims.user, claims.email, claims.team, claims.project, claims.clearance)
    single = [one for one in (*told, claims.application) if one is not None]
    return [claims.issuer, claims.subject, *single, *claims.groups, *claims.roles]


@given(payload=OBJECTS, required=st.tuples(ANY_JSON, ANY_JSON, ANY_JSON))
def test_claims_of_any_payload_are_plain_texts(
    payload: dict[str, Any], required: tuple[Any, Any, Any]
) -> None:
    issuer, subject, end = required
    names = ClaimNames(user="preferred_username", roles="realm_access.roles", application="")
    found = claims_of({**payload, "iss": issuer, "sub": subject, "exp": end}, names)
    assert all(not one or one.isprintable() for one in all_texts(found))
    assert found.application is None
    assert found.expires_at.tzinfo is not None


@given(text=st.text() | st.from_regex(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"))
def test_any_text_is_read_or_refused(text: str) -> None:
    assert isinstance(taken_apart(text, 16384), NotProven | Unproven)


@given(header=OBJECTS, payload=OBJECTS, signature=st.binary(min_size=1, max_size=80))
def test_no_made_up_token_is_believed(
    header: dict[str, Any], payload: dict[str, Any], signature: bytes
) -> None:
    found = taken_apart(f"{part(header)}.{part(payload)}.{part(signature)}", 16384)
    if isinstance(found, NotProven) or header_fault(found, ISSUER) is not None:
        return
    every: list[PyJWK] = [one for keys in KEYS.values() for one in keys]
    assert not is_signed(found, every)


@given(payload=OBJECTS)
def test_claims_are_good_only_with_issuer_audience_subject_and_end(payload: dict[str, Any]) -> None:
    if claims_fault(payload, ISSUER, ISSUER.audience, NOW) is None:
        assert payload["iss"] == ISSUER.issuer
        assert payload["sub"]
        assert "gatehouse" in payload["aud"]
        assert payload["exp"] > NOW.timestamp() - ISSUER.leeway_s


@given(found=st.lists(ANY_JSON, max_size=6))
def test_any_set_of_keys_is_read(found: list[Any]) -> None:
    sent = json.loads(json.dumps(found))
    for (_, algorithm), keys in usable_keys(sent, ISSUER.algorithms).items():
        assert all(one.algorithm_name == algorithm for one in keys)
