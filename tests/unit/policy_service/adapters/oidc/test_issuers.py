"""The file of trusted issuers: what it may say, and what is told of a mistake."""

from pathlib import Path

import pytest

from llm_core.policy.claims import ClaimNames
from policy_service.adapters.oidc import Issuer, read_issuers
from policy_service.adapters.yaml_file import InvalidFile


def issuers(folder: Path, text: str) -> tuple[Issuer, ...]:
    path = folder / "oidc.yaml"
    path.write_text(text, encoding="utf-8")
    return read_issuers(path)


def faults(folder: Path, text: str) -> str:
    with pytest.raises(InvalidFile) as refused:
        issuers(folder, text)
    return str(refused.value)


def test_an_entry_needs_an_issuer_and_an_audience(tmp_path: Path) -> None:
    found = issuers(tmp_path, "issuers:\n  - {issuer: 'https://a.example/r', audience: [g]}\n")
    assert found == (
        Issuer(
            issuer="https://a.example/r",
            audience=("g",),
            discovery_url="https://a.example/r/.well-known/openid-configuration",
            is_home=True,
        ),
    )
    assert "Field required" in faults(tmp_path, "issuers:\n  - {issuer: 'https://a.example'}\n")
    assert "audience" in faults(
        tmp_path, "issuers:\n  - {issuer: 'https://a.example', audience: []}\n"
    )
    assert "issuers" in faults(tmp_path, "issuers: []\n")


def test_of_several_issuers_none_is_the_companys_home_unless_it_is_said(tmp_path: Path) -> None:
    text = """
issuers:
  - {issuer: 'https://a.example', audience: [g], is_home: true}
  - {issuer: 'https://b.example', audience: [g]}
"""
    assert [one.is_home for one in issuers(tmp_path, text)] == [True, False]
    text = text.replace(", is_home: true", "")
    assert [one.is_home for one in issuers(tmp_path, text)] == [False, False]
    only = "issuers:\n  - {issuer: 'https://a.example', audience: [g], is_home: false}\n"
    assert [one.is_home for one in issuers(tmp_path, only)] == [False]


def test_everything_can_be_set(tmp_path: Path) -> None:
    text = """
issuers:
  - issuer: https://a.example/
    audience: [g, h]
    algorithms: [PS256, EdDSA]
    leeway_s: 0
    claims: {user: preferred_username, roles: realm_access.roles, application: ''}
    discovery_url: https://inside.example/discovery
    jwks_url: https://inside.example/keys
    types: [at+JWT, application/jwt]
    max_token_bytes: 4096
    refresh_s: 60
    keep_s: 3600
    new_key_wait_s: 30
    timeout_s: 2
  - {issuer: 'http://127.0.0.1:8080/r', audience: [g], allow_http: true}
"""
    first, second = issuers(tmp_path, text)
    assert first == Issuer(
        issuer="https://a.example/",
        audience=("g", "h"),
        algorithms=("PS256", "EdDSA"),
        leeway_s=0,
        claims=ClaimNames(user="preferred_username", roles="realm_access.roles"),
        discovery_url="https://inside.example/discovery",
        jwks_url="https://inside.example/keys",
        types=("at+jwt", "jwt"),
        max_token_bytes=4096,
        refresh_s=60,
        keep_s=3600,
        new_key_wait_s=30,
        timeout_s=2,
    )
    assert second.allow_http


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("none", "proves nothing"),
        ("None", "proves nothing"),
        ("HS256", "public-key"),
        ("hs512", "public-key"),
        ("RS1", "RS256"),
        ("ES256K", "RS256"),
        ("rs256", "RS256"),
    ],
)
def test_algorithms_that_prove_nothing_are_refused(tmp_path: Path, name: str, told: str) -> None:
    text = f"issuers:\n  - issuer: https://a.example\n    audience: [g]\n    algorithms: [{name}]\n"
    found = faults(tmp_path, text)
    assert told in found
    assert "oidc.yaml:4: issuers[0].algorithms" in found


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example",
        "http://127.0.0.1:8080",
        "ftp://a.example",
        "a.example",
        "https://",
        "https://user:pw@a.example",
        "https://a.example#part",
        "https://a.example:99999",
        "https://[::1",
        "https://a.example/ b",
    ],
)
@pytest.mark.parametrize("name", ["issuer", "discovery_url", "jwks_url"])
def test_only_https_without_a_password_is_an_address(tmp_path: Path, url: str, name: str) -> None:
    entry = {"issuer": "https://a.example", name: url}
    lines = "\n".join(f"    {key}: '{value}'" for key, value in entry.items())
    found = faults(tmp_path, f"issuers:\n  - audience: [g]\n{lines}\n")
    assert name in found
    assert "oidc.yaml:2" in found


def test_plain_http_is_refused_with_what_to_do(tmp_path: Path) -> None:
    text = "issuers:\n  - {issuer: 'http://a.example', audience: [g]}\n"
    assert "allow_http: true" in faults(tmp_path, text)


@pytest.mark.parametrize("second", ["https://a.example", "https://a.example/"])
def test_an_issuer_is_there_once(tmp_path: Path, second: str) -> None:
    text = (
        "issuers:\n"
        "  - {issuer: 'https://a.example', audience: [g]}\n"
        f"  - {{issuer: '{second}', audience: [h]}}\n"
    )
    assert "2 times" in faults(tmp_path, text)


def test_a_field_that_nobody_knows_is_a_mistake(tmp_path: Path) -> None:
    text = "issuers:\n  - {issuer: 'https://a.example', audience: [g], leeway: 5}\n"
    assert "issuers[0].leeway" in faults(tmp_path, text)
    text = "issuers:\n  - {issuer: 'https://a.example', audience: [g], claims: {name: x}}\n"
    assert "issuers[0].claims.name" in faults(tmp_path, text)
