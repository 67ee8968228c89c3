"""Signing a person in from the command line: authorization code with PKCE, and refreshing.

Source:
    https://openid.net/specs/openid-connect-core-1_0.html sections 3.1 and 12 (checked 2026-11-21)
    https://www.rfc-editor.org/rfc/rfc7636 section 4 (checked 2026-11-21)
"""

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import msgspec

from policy_service.cli.loopback import Loopback

_TIMEOUT_S = 10.0
_LEEWAY_S = 60.0
_VERIFIER_BYTES = 64
_DEFAULT_LIFE_S = 60.0


class SignInFailed(Exception):
    """Nobody was signed in; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Provider:
    """What an issuer says of itself, as far as it is needed here."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    revocation_endpoint: str | None = None
    code_challenge_methods_supported: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """What a person was given. Keep it where nobody else reads."""

    issuer: str
    client_id: str
    access_token: str = field(repr=False)
    expires_at: datetime
    refresh_token: str | None = field(default=None, repr=False)

    def lasts(self, now: datetime, at_least: timedelta = timedelta(seconds=30)) -> bool:
        """Whether the access token is good for a while yet."""
        return now + at_least < self.expires_at


@dataclass(frozen=True, slots=True)
class _Granted:
    access_token: str = field(repr=False)
    expires_in: float = _DEFAULT_LIFE_S
    id_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)


def is_guarded(url: str) -> bool:
    """Whether nobody on the way can read what is sent there: https, or this very machine."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    if parts.scheme != "http" or parts.hostname is None:
        return False
    try:
        return ip_address(parts.hostname).is_loopback
    except ValueError:
        return parts.hostname == "localhost"


def discover(client: httpx.Client, issuer: str) -> Provider:
    """Read an issuer's discovery document.

    Raises:
        SignInFailed: It is not there, is another's, or names an address without TLS.
    """
    if not is_guarded(issuer):
        raise SignInFailed(f"the issuer {issuer} is not reached by https")
    document = _asked(client, "GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    try:
        provider = msgspec.convert(document, Provider, strict=False)
    except msgspec.ValidationError as fault:
        raise SignInFailed(f"{issuer} does not describe itself as OpenID asks: {fault}") from fault
    if provider.issuer != issuer:
        raise SignInFailed(f"{issuer} says that it is {provider.issuer}")
    addresses = (provider.authorization_endpoint, provider.token_endpoint)
    if not all(is_guarded(one) for one in addresses):
        raise SignInFailed(f"{issuer} names an address that is not reached by https")
    methods = provider.code_challenge_methods_supported
    if methods is not None and "S256" not in methods:
        raise SignInFailed(f"{issuer} does not support PKCE with S256")
    return provider


def sign_in(
    client: httpx.Client,
    issuer: str,
    client_id: str,
    scopes: str,
    show: Callable[[str], None],
    *,
    timeout_s: float,
) -> Session:
    """Have a person sign in with their browser.

    Args:
        client: To ask the issuer with.
        issuer: Exactly as it calls itself.
        client_id: A public client of it.
        scopes: With spaces between, `openid` among them.
        show: Is given the address that the browser has to open.
        timeout_s: Longest wait for the person.

    Raises:
        SignInFailed: Nobody was signed in.
    """
    provider = discover(client, issuer)
    state, nonce = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    verifier = secrets.token_urlsafe(_VERIFIER_BYTES)
    with Loopback(state) as loopback:
        question = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": loopback.redirect_uri,
            "scope": scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
        }
        joint = "&" if urlsplit(provider.authorization_endpoint).query else "?"
        show(f"{provider.authorization_endpoint}{joint}{urlencode(question)}")
        answer = loopback.wait(timeout_s)
        redirect_uri = loopback.redirect_uri
    if answer is None:
        raise SignInFailed("nobody signed in in time: run the command again")
    if answer.issuer is not None and answer.issuer != issuer:
        raise SignInFailed(f"the answer came from {answer.issuer}, not from {issuer}")
    if answer.code is None:
        raise SignInFailed(f"the identity provider refused: {answer.error}")
    granted = _granted(
        client,
        provider,
        {
            "grant_type": "authorization_code",
            "code": answer.code,
            "redirect_uri": redirect_uri,
            "client_id": client_id,
            "code_verifier": verifier,
        },
    )
    _check_id_token(granted.id_token, provider, client_id, nonce)
    return _session(provider, client_id, granted)


def refresh(client: httpx.Client, session: Session) -> Session:
    """A new access token for the same person.

    Raises:
        SignInFailed: They have to sign in again.
    """
    if session.refresh_token is None:
        raise SignInFailed("the sign-in has expired: run `gatehouse login` again")
    provider = discover(client, session.issuer)
    question = {
        "grant_type": "refresh_token",
        "refresh_token": session.refresh_token,
        "client_id": session.client_id,
    }
    granted = _granted(client, provider, question)
    renewed = _session(provider, session.client_id, granted)
    # An issuer that gives no new refresh token means the old one to stay.
    return replace(renewed, refresh_token=renewed.refresh_token or session.refresh_token)


def end(client: httpx.Client, session: Session) -> bool:
    """Have the issuer forget the session; false when it offers no way to.

    Source:
        https://www.rfc-editor.org/rfc/rfc7009 section 2 (checked 2026-11-21)

    Raises:
        SignInFailed: The issuer cannot be reached, or refuses.
    """
    provider = discover(client, session.issuer)
    address = provider.revocation_endpoint
    if address is None or session.refresh_token is None or not is_guarded(address):
        return False
    form = {
        "token": session.refresh_token,
        "token_type_hint": "refresh_token",
        "client_id": session.client_id,
    }
    _sent(client, "POST", address, form)
    return True


def challenge_of(verifier: str) -> str:
    """The S256 code challenge of a verifier."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def _granted(client: httpx.Client, provider: Provider, question: Mapping[str, str]) -> _Granted:
    document = _asked(client, "POST", provider.token_endpoint, question)
    try:
        return msgspec.convert(document, _Granted, strict=False)
    except msgspec.ValidationError as fault:
        raise SignInFailed(f"{provider.issuer} gave no token") from fault


def _session(provider: Provider, client_id: str, granted: _Granted) -> Session:
    return Session(
        provider.issuer,
        client_id,
        granted.access_token,
        datetime.now(UTC) + timedelta(seconds=granted.expires_in),
        granted.refresh_token,
    )


def _check_id_token(token: str | None, provider: Provider, client_id: str, nonce: str) -> None:
    """The token answers our question: it came straight from the issuer, so no signature is needed.

    OpenID Connect Core, section 3.1.3.7, number 6.
    """
    if token is None:
        raise SignInFailed(f"{provider.issuer} gave no ID token: is `openid` among the scopes?")
    try:
        payload = token.split(".")[1]
        padded = payload + "=" * (-len(payload) % 4)
        claims: dict[str, Any] = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=dict)
        audience = claims["aud"]
        audiences = audience if isinstance(audience, list) else [audience]
        is_alive = float(claims["exp"]) + _LEEWAY_S > datetime.now(UTC).timestamp()
        is_ours = claims["iss"] == provider.issuer and client_id in audiences
        is_answer = claims.get("nonce") == nonce
    except (ValueError, KeyError, IndexError, TypeError, msgspec.DecodeError) as fault:
        raise SignInFailed(f"{provider.issuer} gave an ID token that cannot be read") from fault
    if not (is_alive and is_ours and is_answer):
        raise SignInFailed(f"the ID token of {provider.issuer} does not answer this sign-in")


def _asked(
    client: httpx.Client, method: str, url: str, form: Mapping[str, str] | None = None
) -> dict[str, Any]:
    answer = _sent(client, method, url, form)
    try:
        return msgspec.json.decode(answer.content, type=dict)
    except msgspec.DecodeError as fault:
        raise SignInFailed(f"{_place(url)} does not answer in JSON") from fault


def _sent(
    client: httpx.Client, method: str, url: str, form: Mapping[str, str] | None
) -> httpx.Response:
    try:
        answer = client.request(method, url, data=form, timeout=_TIMEOUT_S)
    except httpx.HTTPError as fault:
        raise SignInFailed(f"{_place(url)} cannot be reached") from fault
    if not answer.is_success:
        raise SignInFailed(f"{_place(url)} answered {answer.status_code}{_reason(answer)}")
    return answer


def _reason(answer: httpx.Response) -> str:
    """The error code of RFC 6749, section 5.2; its description may say more than it should."""
    try:
        error = msgspec.json.decode(answer.content, type=dict).get("error")
    except msgspec.DecodeError:
        return ""
    return f" ({error})" if isinstance(error, str) and error.isidentifier() else ""


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
