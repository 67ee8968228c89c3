"""Reads which identity providers are trusted, and on what conditions.

```yaml
issuers:
  - issuer: https://login.acme.example/realms/acme   # exactly as tokens have it in `iss`
    audience: [gatehouse]         # one of these must be in `aud`
    algorithms: [RS256, ES256]    # what tokens may be signed with
    leeway_s: 60                  # how far clocks may be apart
    claims:                       # which claim holds what; fields of llm_core.policy.claims
      user: preferred_username
      roles: realm_access.roles
```
"""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from llm_core.policy.claims import ClaimNames
from policy_service.adapters.yaml_file import read_yaml

_DISCOVERY = "/.well-known/openid-configuration"
_MAX_TOKEN_BYTES = 16 * 1024


class Algorithm(StrEnum):
    """Signatures that a public key checks; `none` and HMAC are not among them.

    Source:
        https://www.rfc-editor.org/rfc/rfc7518#section-3.1,
        https://www.rfc-editor.org/rfc/rfc8037#section-3.1 (checked 2026-11-21)
    """

    RS256 = "RS256"
    RS384 = "RS384"
    RS512 = "RS512"
    PS256 = "PS256"
    PS384 = "PS384"
    PS512 = "PS512"
    ES256 = "ES256"
    ES384 = "ES384"
    ES512 = "ES512"
    EDDSA = "EdDSA"


@dataclass(frozen=True, slots=True)
class Issuer:
    """An identity provider that the company trusts.

    Args:
        issuer: Exactly as its tokens have it in `iss`.
        audience: One of these must be in a token's `aud`.
        algorithms: What its tokens may be signed with.
        leeway_s: How far its clock and ours may be apart.
        claims: Which claim holds what.
        is_home: Whether it may name everybody who is known here; see `llm_core.policy.claims`.
        discovery_url: Where its discovery document is.
        jwks_url: Where its keys are; `None` for where the discovery document says.
        types: What the header `typ` may say, in small letters; empty for `jwt`, `at+jwt` or
            nothing.
        max_token_bytes: Longest token.
        allow_http: Whether its documents may come over plain http.
        refresh_s: How old its keys get before they are asked for again.
        keep_s: How long keys are good when it cannot be asked.
        new_key_wait_s: How long at least from one question for an unknown key to the next.
        timeout_s: Longest wait for one of its documents.
    """

    issuer: str
    audience: tuple[str, ...]
    discovery_url: str
    algorithms: tuple[str, ...] = (Algorithm.RS256.value, Algorithm.ES256.value)
    leeway_s: float = 60.0
    claims: ClaimNames = field(default_factory=ClaimNames)
    is_home: bool = False
    jwks_url: str | None = None
    types: tuple[str, ...] = ()
    max_token_bytes: int = _MAX_TOKEN_BYTES
    allow_http: bool = False
    refresh_s: float = 300.0
    keep_s: float = 24 * 3600.0
    new_key_wait_s: float = 10.0
    timeout_s: float = 5.0


def read_issuers(path: Path) -> tuple[Issuer, ...]:
    """Read the file that `POLICY_OIDC_FILE` names.

    Raises:
        InvalidFile: With every fault, each as `file:line: field: what is wrong`.
    """
    entries = read_yaml(path, _IssuersFile).issuers
    return tuple(entry.trusted(is_only=len(entries) == 1) for entry in entries)


_Text = Annotated[str, Field(min_length=1, max_length=300)]
_Claim = Annotated[str, Field(max_length=300)]
_Seconds = Annotated[float, Field(gt=0, le=7 * 24 * 3600, allow_inf_nan=False)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _ClaimsEntry(_Entry):
    """The fields and defaults of `ClaimNames`."""

    user: _Claim = ClaimNames().user
    email: _Claim = ClaimNames().email
    team: _Claim = ClaimNames().team
    project: _Claim = ClaimNames().project
    application: _Claim = ClaimNames().application
    groups: _Claim = ClaimNames().groups
    roles: _Claim = ClaimNames().roles
    clearance: _Claim = ClaimNames().clearance


class _IssuerEntry(_Entry):
    """One issuer as the file writes it; the fields and defaults of `Issuer`."""

    issuer: _Text
    audience: Annotated[tuple[_Text, ...], Field(min_length=1)]
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = (
        Algorithm.RS256,
        Algorithm.ES256,
    )
    leeway_s: Annotated[float, Field(ge=0, le=300, allow_inf_nan=False)] = 60.0
    claims: _ClaimsEntry = _ClaimsEntry()
    is_home: bool | None = None
    discovery_url: _Text | None = None
    jwks_url: _Text | None = None
    types: tuple[_Text, ...] = ()
    max_token_bytes: Annotated[int, Field(ge=512, le=65536)] = _MAX_TOKEN_BYTES
    allow_http: bool = False
    refresh_s: _Seconds = 300.0
    keep_s: _Seconds = 24 * 3600.0
    new_key_wait_s: Annotated[float, Field(ge=1, le=300, allow_inf_nan=False)] = 10.0
    timeout_s: Annotated[float, Field(gt=0, le=30, allow_inf_nan=False)] = 5.0

    @field_validator("algorithms", mode="before")
    @classmethod
    def _refuse_what_is_no_proof(cls, value: object) -> object:
        for name in value if isinstance(value, list) else ():
            told = str(name)
            if told.lower() == "none":
                raise ValueError("`none` proves nothing and is never accepted")
            if told.upper().startswith("HS"):
                raise ValueError(
                    f"{told[:10]} is signed with a secret that the checker knows; only public-key "
                    "algorithms are accepted"
                )
        return value

    @model_validator(mode="after")
    def _refuse_a_bad_url(self) -> Self:
        for name in ("issuer", "discovery_url", "jwks_url"):
            url = getattr(self, name)
            if url is not None and (fault := url_fault(url, allow_http=self.allow_http)):
                raise ValueError(f"{name}: {fault}")
        return self

    def trusted(self, *, is_only: bool) -> Issuer:
        told = self.model_dump()
        # Of several, any could make itself out to be the users of another.
        told["is_home"] = is_only if self.is_home is None else self.is_home
        told["claims"] = ClaimNames(**told["claims"])
        told["algorithms"] = tuple(one.value for one in self.algorithms)
        told["types"] = tuple(one.lower().removeprefix("application/") for one in self.types)
        told["discovery_url"] = self.discovery_url or discovery_url(self.issuer)
        return Issuer(**told)


class _IssuersFile(_Entry):
    issuers: Annotated[tuple[_IssuerEntry, ...], Field(min_length=1)]

    @field_validator("issuers")
    @classmethod
    def _refuse_one_twice(cls, value: tuple[_IssuerEntry, ...]) -> tuple[_IssuerEntry, ...]:
        # Two that differ by a slash at the end are one that somebody was not sure of.
        counted = Counter(entry.issuer.rstrip("/") for entry in value)
        for issuer, times in counted.items():
            if times > 1:
                raise ValueError(f"{issuer} is there {times} times")
        return value


def discovery_url(issuer: str) -> str:
    """Where an issuer has its discovery document.

    Source:
        https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfigurationRequest
        (checked 2026-11-21)
    """
    return issuer.rstrip("/") + _DISCOVERY


def url_fault(url: str, *, allow_http: bool) -> str | None:
    """What is wrong with the address of an issuer, or of a document of its; `None`: nothing."""
    try:
        parts = urlsplit(url)
        is_whole = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_whole = False
        parts = urlsplit("")
    if not is_whole or parts.username or parts.fragment or not url.isprintable() or " " in url:
        return "is not a plain URL with a host"
    if parts.scheme == "https" or (parts.scheme == "http" and allow_http):
        return None
    if parts.scheme == "http":
        return "plain http can be listened to and changed; use https, or say `allow_http: true`"
    return "is not an https URL"
