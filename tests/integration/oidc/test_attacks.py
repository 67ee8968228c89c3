"""Every way to pass for somebody else that we know of, against a real issuer over HTTP."""

import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from llm_core.policy.claims import Claims
from policy_service.adapters.oidc import OidcTokens
from policy_service.ports.callers import Unknown
from policy_service.ports.tokens import NotProven
from tests.fixtures.oidc_issuer import (
    JWKS,
    NOW,
    IssuerServer,
    MovingClock,
    key,
    part,
)
from tests.integration.oidc.conftest import Verifying

NOW_S = int(NOW.timestamp())


async def why(tokens: OidcTokens, token: str) -> Unknown:
    """Why a token is refused; and the reason has nothing of the token in it."""
    found = await tokens.verify(token)
    assert isinstance(found, NotProven)
    assert found.detail.isprintable()
    assert len(found.detail) < 120
    assert not any(piece in found.detail for piece in token.split(".") if len(piece) > 8)
    return found.why


async def test_a_good_token_is_believed(issuer: IssuerServer, tokens: OidcTokens) -> None:
    found = await tokens.verify(issuer.token())
    assert isinstance(found, Claims)
    assert (found.subject, found.user, found.team) == ("4711", "alice", "search")
    assert found.expires_at.timestamp() == NOW_S + 300


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
@pytest.mark.parametrize("named", [True, False], ids=["with alg", "without alg"])
async def test_every_allowed_algorithm_is_checked_by_its_own_rules(
    issuer: IssuerServer, tokens: OidcTokens, algorithm: str, named: bool
) -> None:
    signing = key(algorithm, algorithm)
    issuer.documents[JWKS] = {"keys": [signing.jwk(**({} if named else {"alg": None}))]}
    assert isinstance(await tokens.verify(issuer.token(signed_by=signing)), Claims)


class TestSignatures:
    @pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE"])
    async def test_no_signature_is_no_proof(
        self, issuer: IssuerServer, tokens: OidcTokens, name: str
    ) -> None:
        head, body = part({"alg": name, "typ": "JWT", "kid": "first"}), part(issuer.claims())
        _, _, signature = issuer.token().split(".")
        for token in (f"{head}.{body}.", f"{head}.{body}", f"{head}.{body}.{signature}"):
            assert await why(tokens, token) is Unknown.NO_PROOF

    @pytest.mark.parametrize("name", ["HS256", "HS384", "HS512"])
    async def test_the_public_key_is_no_secret_to_sign_with(
        self, issuer: IssuerServer, tokens: OidcTokens, name: str
    ) -> None:
        public = key().private.public_key()
        forms = [
            public.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
            for encoding in (serialization.Encoding.PEM, serialization.Encoding.DER)
        ]
        for secret in (*forms, json.dumps(key().jwk()).encode(), key().jwk()["n"].encode()):
            signed = f"{part({'alg': name, 'typ': 'JWT', 'kid': 'first'})}.{part(issuer.claims())}"
            made = hmac.digest(secret, signed.encode(), f"sha{name[2:]}")
            assert await why(tokens, f"{signed}.{part(made)}") is Unknown.NO_PROOF

    async def test_a_changed_token_is_no_proof(
        self, issuer: IssuerServer, tokens: OidcTokens
    ) -> None:
        head, body, signature = issuer.token().split(".")
        other = part(issuer.claims(preferred_username="carol"))
        assert await why(tokens, f"{head}.{other}.{signature}") is Unknown.NO_PROOF
        flipped = ("B" if signature[0] == "A" else "A") + signature[1:]
        assert await why(tokens, f"{head}.{body}.{flipped}") is Unknown.NO_PROOF
        assert await why(tokens, f"{head}.{body}.{signature[:40]}") is Unknown.NO_PROOF

    async def test_a_key_of_ones_own_is_no_proof_whatever_it_is_called(
        self, issuer: IssuerServer, tokens: OidcTokens
    ) -> None:
        mine = key("mine")
        assert await why(tokens, issuer.token(signed_by=mine)) is Unknown.NO_PROOF
        assert await why(tokens, issuer.token(signed_by=mine, kid="first")) is Unknown.NO_PROOF
        assert await why(tokens, issuer.token(signed_by=mine, kid=None)) is Unknown.NO_PROOF

    async def test_a_key_that_the_token_brings_along_is_not_looked_at(
        self, issuer: IssuerServer, tokens: OidcTokens
    ) -> None:
        mine = key("mine")
        issuer.documents["/mine"] = {"keys": [mine.jwk()]}
        for header in (
            {"jwk": mine.jwk()},
            {"jku": f"{issuer.url}/mine"},
            {"x5u": f"{issuer.url}/mine"},
            {"x5c": ["MIIB"]},
        ):
            token = issuer.token(signed_by=mine, **header)
            assert await why(tokens, token) is Unknown.NO_PROOF
        assert "/mine" not in issuer.asked

    async def test_a_key_of_another_kind_is_no_proof(
        self, issuer: IssuerServer, tokens: OidcTokens
    ) -> None:
        curve = key("curve", "ES256")
        issuer.publish(key(), curve)
        assert await why(tokens, issuer.token(kid="curve")) is Unknown.NO_PROOF
        assert await why(tokens, issuer.token(signed_by=curve, kid="first")) is Unknown.NO_PROOF
        assert await why(tokens, issuer.token(signed_by=curve, alg="RS256")) is Unknown.NO_PROOF
        assert await why(tokens, issuer.token(alg="ES256", kid="curve")) is Unknown.NO_PROOF
        # The key says what it is for; the token does not choose.
        assert await why(tokens, issuer.token(alg="PS256")) is Unknown.NO_PROOF

    @pytest.mark.parametrize(
        "jwk",
        [
            key().jwk(use="enc"),
            key().jwk(key_ops=["sign"]),
            key().jwk(key_ops="verify"),
            key().jwk(d="AQAB"),
            key().jwk(kty="oct", k="c2VjcmV0"),
            key().jwk(alg="HS256"),
            key().jwk(alg=7),
            key().jwk(n="!!!"),
            key().jwk(n=7),
            key().jwk(e=None),
            key("short", bits=1024).jwk(kid="first"),
            "first",
            None,
        ],
        ids=[
            "for encryption",
            "for signing",
            "operations are no list",
            "private",
            "symmetric",
            "for HMAC",
            "algorithm is no text",
            "modulus is no number",
            "modulus is no text",
            "no exponent",
            "short",
            "text",
            "nothing",
        ],
    )
    async def test_a_key_that_is_not_for_this_is_not_used(
        self, issuer: IssuerServer, tokens: OidcTokens, jwk: Any
    ) -> None:
        signing = key("short", bits=1024) if _is_short(jwk) else key()
        issuer.documents[JWKS] = {"keys": [jwk, key("other").jwk()]}
        assert await why(tokens, issuer.token(signed_by=signing, kid="first")) is Unknown.NO_PROOF

    async def test_an_algorithm_that_the_entry_does_not_name_is_refused(
        self, issuer: IssuerServer, verifying: Verifying
    ) -> None:
        tokens = verifying(algorithms=("ES256",))
        issuer.publish(key(), key("curve", "ES256"))
        assert await why(tokens, issuer.token()) is Unknown.NO_PROOF
        good = issuer.token(signed_by=key("curve", "ES256"))
        assert isinstance(await tokens.verify(good), Claims)


class TestHeaders:
    @pytest.mark.parametrize(
        "header",
        [
            {"crit": ["exp"]},
            {"crit": []},
            {"crit": ["b64"], "b64": False},
            {"b64": False},
            {"cty": "JWT"},
            {"typ": "logout+jwt"},
            {"typ": "dpop+jwt"},
            {"typ": 7},
            {"alg": None},
            {"alg": ["RS256"]},
            {"alg": "rs256"},
            {"kid": 7},
            {"kid": ""},
            {"kid": "k" * 257},
            {"kid": {"first": 1}},
        ],
        ids=str,
    )
    async def test_a_header_that_asks_for_something_else_is_refused(
        self, issuer: IssuerServer, tokens: OidcTokens, header: dict[str, Any]
    ) -> None:
        assert await why(tokens, issuer.token(**header)) is Unknown.NO_PROOF

    @pytest.mark.parametrize(
        "key_id",
        [
            "../../../../dev/null",
            "/dev/null",
            "first\x00",
            "first' OR '1'='1",
            "http://127.0.0.1/keys",
            "..%2f",
            "FIRST",
            " first",
            "firsт",
        ],
    )
    async def test_a_key_id_is_only_compared(
        self, issuer: IssuerServer, tokens: OidcTokens, key_id: str
    ) -> None:
        await tokens.verify(issuer.token())
        assert await why(tokens, issuer.token(kid=key_id)) is Unknown.NO_PROOF
        assert set(issuer.asked) == {"/.well-known/openid-configuration", JWKS}

    @pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+jwt", None])
    async def test_the_usual_types_are_taken(
        self, issuer: IssuerServer, tokens: OidcTokens, kind: str | None
    ) -> None:
        assert isinstance(await tokens.verify(issuer.token(typ=kind)), Claims)

    async def test_an_entry_can_ask_for_access_tokens(
        self, issuer: IssuerServer, verifying: Verifying
    ) -> None:
        tokens = verifying(types=("at+jwt",))
        assert await why(tokens, issuer.token()) is Unknown.NO_PROOF
        assert await why(tokens, issuer.token(typ=None)) is Unknown.NO_PROOF
        assert isinstance(await tokens.verify(issuer.token(typ="at+JWT")), Claims)


class TestForms:
    async def test_whitespace_padding_and_more_parts_are_refused(
        self, issuer: IssuerServer, tokens: OidcTokens
    ) -> None:
        good = issuer.token()
        head, body, signature = good.split(".")
        for token in (
            *("", ".", "..", "...", "a.b.c", "e30.e30.e30", "\x00", "é.é.é"),
            *(f" {good}", f"{good} ", f"{good}\n", f"{good}\r\nx-admin: 1", f"Bearer {good}"),
            *(f"{head}.{body}", f"{good}.", f"{good}.{signature}", f".{good}"),
            *(f"{head}=.{body}.{signature}", f"{head}.{body}==.{signature}", f"{good}="),
            f"{head}. {body}.{signature}",
            f"{good}.{body}.{signature}",  # five parts, as encrypted tokens have
        ):
            assert await why(tokens, token) is Unknown.NO_PROOF, token

    async def test_a_token_inside_a_token_is_refused(
        self, issuer: IssuerServer, tokens: OidcTokens
    ) -> None:
        inner = issuer.token()
        assert await why(tokens, issuer.token(inner.encode(), cty="JWT")) is Unknown.NO_PROOF
        assert await why(tokens, issuer.token(inner.encode())) is Unknown.NO_PROOF

    @pytest.mark.parametrize("body", [b"[]", b"7", b"null", b'"x"', b"{", b"\xff\xfe", b"[" * 9000])
    async def test_a_payload_that_is_no_object_is_refused(
        self, issuer: IssuerServer, tokens: OidcTokens, body: bytes
    ) -> None:
        assert await why(tokens, issuer.token(body)) is Unknown.NO_PROOF

    async def test_a_claim_given_twice_is_refused(
        self, issuer: IssuerServer, tokens: OidcTokens
    ) -> None:
        good = json.dumps(issuer.claims())
        for more in ('"aud": "gatehouse"', '"team": "other"', '"sub": "4711"', '"exp": 9999999999'):
            twice = f"{good[:-1]}, {more}}}".encode()
            assert await why(tokens, issuer.token(twice)) is Unknown.NO_PROOF

    async def test_a_header_member_given_twice_is_refused(
        self, issuer: IssuerServer, tokens: OidcTokens
    ) -> None:
        head = b'{"alg": "none", "alg": "RS256", "kid": "first"}'
        signed = f"{part(head)}.{part(issuer.claims())}"
        token = f"{signed}.{part(key().signature(signed.encode()))}"
        assert await why(tokens, token) is Unknown.NO_PROOF

    async def test_a_long_token_is_refused_and_nobody_is_asked(
        self, issuer: IssuerServer, tokens: OidcTokens
    ) -> None:
        long = issuer.token(issuer.claims(groups=["g" * 100] * 200))
        assert len(long) > 16 * 1024
        assert await why(tokens, long) is Unknown.NO_PROOF
        assert await why(tokens, "a" * 10_000_000) is Unknown.NO_PROOF
        assert issuer.asked == []

    async def test_each_issuer_has_its_own_longest(
        self, issuer: IssuerServer, verifying: Verifying
    ) -> None:
        brief = issuer.trusted(max_token_bytes=1000)
        other = issuer.trusted(issuer="https://other.example")
        tokens = verifying(brief, other)
        assert isinstance(await tokens.verify(issuer.token()), Claims)
        long = issuer.token(issuer.claims(groups=["g" * 100] * 9))
        assert await why(tokens, long) is Unknown.NO_PROOF


class TestClaims:
    @pytest.mark.parametrize(
        "audience",
        [
            *("account", "gatehouse ", "Gatehouse", "", 7, None),
            *([], ["account"], [["gatehouse"]], {"gatehouse": 1}),
        ],
        ids=str,
    )
    async def test_a_token_for_somebody_else_is_refused(
        self, issuer: IssuerServer, tokens: OidcTokens, audience: Any
    ) -> None:
        assert await why(tokens, issuer.token(issuer.claims(aud=audience))) is Unknown.NO_PROOF

    async def test_one_audience_of_several_is_enough(
        self, issuer: IssuerServer, tokens: OidcTokens
    ) -> None:
        token = issuer.token(issuer.claims(aud=["account", "gatehouse"]))
        assert isinstance(await tokens.verify(token), Claims)

    async def test_who_asks_for_another_audience_gets_only_that(
        self, issuer: IssuerServer, tokens: OidcTokens
    ) -> None:
        ours, theirs = issuer.token(), issuer.token(issuer.claims(aud="dashboard"))
        assert isinstance(await tokens.payload_of(ours, ["dashboard"]), NotProven)
        found = await tokens.payload_of(theirs, ["dashboard"])
        assert not isinstance(found, NotProven)
        assert found["preferred_username"] == "alice"

    async def test_another_issuer_is_refused_down_to_the_last_character(
        self, issuer: IssuerServer, tokens: OidcTokens
    ) -> None:
        for name in (
            *("https://evil.example", f"{issuer.url}/", issuer.url.upper(), f" {issuer.url}"),
            *("", 7, None, [issuer.url], {"iss": issuer.url}),
        ):
            assert await why(tokens, issuer.token(issuer.claims(iss=name))) is Unknown.NO_PROOF

    async def test_a_trusted_issuer_cannot_speak_for_another(
        self, issuer: IssuerServer, verifying: Verifying
    ) -> None:
        other = issuer.trusted(issuer="https://other.example", jwks_url=f"{issuer.url}/other-keys")
        issuer.documents["/other-keys"] = {"keys": [key("other").jwk()]}
        tokens = verifying(issuer.trusted(), other)
        forged = issuer.token(issuer.claims(iss="https://other.example"))
        assert await why(tokens, forged) is Unknown.NO_PROOF
        theirs = issuer.token(issuer.claims(iss="https://other.example"), signed_by=key("other"))
        assert isinstance(await tokens.verify(theirs), Claims)
        assert await why(tokens, issuer.token(signed_by=key("other"))) is Unknown.NO_PROOF

    async def test_an_end_that_is_past_is_told_apart(
        self, issuer: IssuerServer, tokens: OidcTokens, clock: MovingClock
    ) -> None:
        token = issuer.token()
        clock.move(300 + 59)
        assert isinstance(await tokens.verify(token), Claims)
        clock.move(1)
        assert await why(tokens, token) is Unknown.EXPIRED

    @pytest.mark.parametrize("name", ["nbf", "iat"])
    async def test_a_beginning_that_is_to_come_is_told_apart(
        self, issuer: IssuerServer, tokens: OidcTokens, clock: MovingClock, name: str
    ) -> None:
        token = issuer.token(issuer.claims(**{name: NOW_S + 61}))
        assert await why(tokens, token) is Unknown.NOT_YET_VALID
        clock.move(1)
        assert isinstance(await tokens.verify(token), Claims)

    async def test_clocks_may_be_required_to_agree(
        self, issuer: IssuerServer, verifying: Verifying
    ) -> None:
        tokens = verifying(leeway_s=0.0)
        for claims, expected in (
            (issuer.claims(exp=NOW_S), Unknown.EXPIRED),
            (issuer.claims(nbf=NOW_S + 1), Unknown.NOT_YET_VALID),
        ):
            assert await why(tokens, issuer.token(claims)) is expected

    @pytest.mark.parametrize(
        "end", [None, "9999999999", True, [], {}, -1, float("inf"), float("nan"), 10**400, 10**300]
    )
    async def test_a_token_without_an_end_is_refused(
        self, issuer: IssuerServer, tokens: OidcTokens, end: Any
    ) -> None:
        assert await why(tokens, issuer.token(issuer.claims(exp=end))) is Unknown.NO_PROOF

    @pytest.mark.parametrize("name", ["nbf", "iat"])
    @pytest.mark.parametrize("value", ["soon", True, [], -5, float("nan")])
    async def test_a_time_that_is_none_is_refused(
        self, issuer: IssuerServer, tokens: OidcTokens, name: str, value: Any
    ) -> None:
        token = issuer.token(issuer.claims(**{name: value}))
        assert await why(tokens, token) is Unknown.NO_PROOF

    async def test_a_null_is_no_time_either(self, issuer: IssuerServer, tokens: OidcTokens) -> None:
        for name in ("exp", "nbf", "iat"):
            claims = json.dumps(issuer.claims() | {name: None}).encode()
            assert await why(tokens, issuer.token(claims)) is Unknown.NO_PROOF

    @pytest.mark.parametrize(
        "subject", [None, "", 4711, ["4711"], "a\r\nx-gatehouse-team: other", "a\x00b", "s" * 256]
    )
    async def test_a_token_that_speaks_of_nobody_is_refused(
        self, issuer: IssuerServer, tokens: OidcTokens, subject: Any
    ) -> None:
        assert await why(tokens, issuer.token(issuer.claims(sub=subject))) is Unknown.NO_PROOF

    async def test_what_could_break_out_of_a_header_or_a_log_line_is_not_heeded(
        self, issuer: IssuerServer, tokens: OidcTokens
    ) -> None:
        token = issuer.token(
            issuer.claims(
                preferred_username="alice\r\nx-gatehouse-team: other",
                team="search\nINFO all is well",
                groups=["/good", "/bad\r\n", "/\x1b[31m", "/\u202eevil", "/\ud800"],
                roles="team_owner\r\nplatform_admin",
                email="a@b\x00",
                email_verified=True,
            )
        )
        found = await tokens.verify(token)
        assert isinstance(found, Claims)
        assert (found.user, found.team, found.email) == (None, None, None)
        assert found.groups == ("/good",)
        assert all(role.isprintable() for role in found.roles)


def _is_short(jwk: Any) -> bool:
    return isinstance(jwk, dict) and jwk.get("n") == key("short", bits=1024).jwk()["n"]
