"""Signing in against an issuer that the test plays: what a real one never does wrong."""

import base64
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from policy_service.cli import signing_in
from policy_service.cli.signing_in import Session, SignInFailed, challenge_of, is_guarded

ISSUER = "https://id.test"
CLIENT = "gatehouse-cli"
OLD = Session(ISSUER, CLIENT, "old", datetime(2026, 1, 1, tzinfo=UTC), "refresh-1")


@dataclass
class Issuer:
    """Plays the issuer and the browser; a test bends one of its answers."""

    document: dict[str, Any] = field(
        default_factory=lambda: {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "revocation_endpoint": f"{ISSUER}/revoke",
            "code_challenge_methods_supported": ["plain", "S256"],
        }
    )
    claims: dict[str, Any] = field(default_factory=dict)
    granted: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, str] = field(default_factory=dict)
    status: int = 200
    asked: dict[str, str] = field(default_factory=dict)
    forms: list[dict[str, str]] = field(default_factory=list)

    def handle(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/.well-known"):
            return httpx.Response(200, json=self.document)
        self.forms.append(
            {name: one[0] for name, one in parse_qs(request.content.decode()).items()}
        )
        if self.status != 200:
            return httpx.Response(self.status, json={"error": "invalid_grant", "more": "secret"})
        if request.url.path == "/revoke":
            return httpx.Response(200)
        token = {"access_token": "access-1", "expires_in": 300, "refresh_token": "refresh-2"}
        if "nonce" in self.asked:
            token["id_token"] = self._id_token()
        merged = {**token, **self.granted}
        return httpx.Response(200, json={k: v for k, v in merged.items() if v is not None})

    def _id_token(self) -> str:
        claims = {
            "iss": ISSUER,
            "aud": CLIENT,
            "exp": datetime.now(UTC).timestamp() + 300,
            "nonce": self.asked["nonce"],
            **self.claims,
        }
        payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
        return f"e30.{payload}.c2ln"

    def client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self.handle))

    def sign_in(self) -> Session:
        with ThreadPoolExecutor(1) as pool, self.client() as client:

            def browse(address: str) -> None:
                self.asked = {n: one[0] for n, one in parse_qs(urlsplit(address).query).items()}
                back = {"state": self.asked["state"], "code": "c1", **self.answer}
                pool.submit(httpx.get, self.asked["redirect_uri"], params=back)

            return signing_in.sign_in(client, ISSUER, CLIENT, "openid email", browse, timeout_s=20)


def test_a_code_is_exchanged_with_its_verifier() -> None:
    issuer = Issuer()
    session = issuer.sign_in()
    assert (session.access_token, session.refresh_token) == ("access-1", "refresh-2")
    assert session.lasts(datetime.now(UTC))
    assert not session.lasts(datetime.now(UTC) + timedelta(seconds=280))
    [form] = issuer.forms
    assert form["code"] == "c1"
    assert form["redirect_uri"] == issuer.asked["redirect_uri"]
    assert issuer.asked["code_challenge_method"] == "S256"
    assert issuer.asked["code_challenge"] == challenge_of(form["code_verifier"])
    assert 43 <= len(form["code_verifier"]) <= 128
    assert "client_secret" not in form


def test_every_sign_in_has_secrets_of_its_own() -> None:
    issuer = Issuer()
    seen = []
    for _ in range(2):
        issuer.sign_in()
        seen.append({issuer.asked[name] for name in ("state", "nonce", "code_challenge")})
    assert len(seen[0] | seen[1]) == 6


def test_the_challenge_is_that_of_the_standard() -> None:
    """RFC 7636, appendix B."""
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.mark.parametrize(
    ("bend", "told"),
    [
        (lambda i: i.claims.update(nonce="another"), "does not answer"),
        (lambda i: i.claims.update(iss="https://evil.test"), "does not answer"),
        (lambda i: i.claims.update(aud=["somebody"]), "does not answer"),
        (lambda i: i.claims.update(exp=1), "does not answer"),
        (lambda i: i.claims.update(exp="soon"), "cannot be read"),
        (lambda i: i.granted.update(id_token="x"), "cannot be read"),
        (lambda i: i.granted.update(id_token=None), "no ID token"),
        (lambda i: i.granted.update(access_token=None), "gave no token"),
        (lambda i: i.answer.update(iss="https://evil.test"), "came from"),
        (lambda i: i.answer.update(error="access_denied"), "refused: access_denied"),
        (lambda i: setattr(i, "status", 400), "400 \\(invalid_grant\\)"),
        (lambda i: i.document.update(issuer="https://evil.test"), "says that it is"),
        (
            lambda i: i.document.update(token_endpoint="http://id.test/token"),
            "not reached by https",
        ),
        (lambda i: i.document.update(code_challenge_methods_supported=["plain"]), "PKCE"),
        (lambda i: i.document.pop("token_endpoint"), "does not describe itself"),
    ],
)
def test_an_answer_that_is_not_right_signs_nobody_in(
    bend: Callable[[Issuer], object], told: str
) -> None:
    issuer = Issuer()
    bend(issuer)
    with pytest.raises(SignInFailed, match=told) as failure:
        issuer.sign_in()
    assert "secret" not in str(failure.value)


def test_a_session_is_refreshed_and_keeps_its_refresh_token_when_it_gets_no_new_one() -> None:
    for granted, kept in (({}, "refresh-2"), ({"refresh_token": None}, "refresh-1")):
        issuer = Issuer(granted=granted)
        with issuer.client() as client:
            renewed = signing_in.refresh(client, OLD)
        assert (renewed.access_token, renewed.refresh_token) == ("access-1", kept)
        assert issuer.forms[0]["refresh_token"] == "refresh-1"


def test_a_session_that_cannot_be_refreshed_says_so() -> None:
    issuer = Issuer(status=400)
    with issuer.client() as client:
        with pytest.raises(SignInFailed, match="invalid_grant"):
            signing_in.refresh(client, OLD)
        with pytest.raises(SignInFailed, match="login"):
            signing_in.refresh(client, Session(ISSUER, CLIENT, "old", OLD.expires_at))


def test_the_issuer_is_told_of_the_end() -> None:
    issuer = Issuer()
    with issuer.client() as client:
        assert signing_in.end(client, OLD)
        assert issuer.forms[0]["token"] == "refresh-1"
        issuer.document["revocation_endpoint"] = None
        assert not signing_in.end(client, OLD)


def test_tokens_are_in_no_representation() -> None:
    assert "refresh-1" not in repr(OLD)
    assert "old" not in repr(OLD)


@pytest.mark.parametrize(
    ("url", "guarded"),
    [
        ("https://policy.acme.com", True),
        ("http://127.0.0.1:8100", True),
        ("http://[::1]:8100", True),
        ("http://localhost:8100", True),
        ("http://policy.acme.com", False),
        ("http://localhost.evil.test", False),
        ("http://127.0.0.1.evil.test", False),
        ("http://10.0.0.1", False),
        ("ftp://127.0.0.1", False),
        ("https://", False),
        ("policy.acme.com", False),
    ],
)
def test_tokens_go_only_where_nobody_reads_along(url: str, guarded: bool) -> None:
    assert is_guarded(url) is guarded
