import tomllib
from pathlib import Path

from dashboard.secrets_file import secrets_text, write_secrets
from dashboard.settings import SignIn


def sign_in(folder: Path, kept: str = "s3cret") -> SignIn:
    return SignIn(
        issuer="https://id.test/realms/acme",
        client_id="dashboard",
        client_secret=kept,
        cookie_secret="c" * 32,
        url="https://cost.acme.test",
        scopes="openid email",
        secrets_dir=folder,
    )


def test_streamlit_is_told_how_people_sign_in(tmp_path: Path) -> None:
    told = tomllib.loads(secrets_text(sign_in(tmp_path)))["auth"]
    assert told == {
        "redirect_uri": "https://cost.acme.test/oauth2callback",
        "cookie_secret": "c" * 32,
        "client_id": "dashboard",
        "client_secret": "s3cret",
        "server_metadata_url": "https://id.test/realms/acme/.well-known/openid-configuration",
        "expose_tokens": ["access"],
        "client_kwargs": {"scope": "openid email", "code_challenge_method": "S256"},
    }


def test_a_secret_with_odd_characters_stays_what_it_is(tmp_path: Path) -> None:
    odd = 'a"b\\c\n[auth]\nclient_id = "evil" \u00e9\U0001f511\x01'
    told = tomllib.loads(secrets_text(sign_in(tmp_path, odd)))["auth"]
    assert (told["client_secret"], told["client_id"]) == (odd, "dashboard")


def test_the_file_is_for_its_owner_only_and_written_anew(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    path = write_secrets(sign_in(folder), 8501)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600
    assert write_secrets(sign_in(folder, "other"), 8501) == path
    assert "other" in path.read_text()
    assert write_secrets(sign_in(folder), 8502) != path
    assert len(list(folder.iterdir())) == 2
