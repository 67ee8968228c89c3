"""Writes the file from which Streamlit's `st.login` reads how people sign in.

Source:
    https://docs.streamlit.io/develop/api-reference/user/st.login (checked 2026-11-21)
"""

import os
import tempfile
from pathlib import Path

import msgspec

from dashboard.settings import SignIn


def write_secrets(sign_in: SignIn, port: int) -> Path:
    """Write it anew, for this user only, and give its path.

    Args:
        sign_in: What goes in.
        port: Of the dashboard: two of them on a machine have two files.

    Raises:
        OSError: The folder cannot be written to.
    """
    sign_in.secrets_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = sign_in.secrets_dir / f"secrets-{port}.toml"
    # mkstemp makes it with mode 0600; the rename is all or nothing.
    handle, name = tempfile.mkstemp(dir=sign_in.secrets_dir, suffix=".toml")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(secrets_text(sign_in))
    Path(name).replace(path)
    return path


def secrets_text(sign_in: SignIn) -> str:
    """The file's TOML."""
    auth = {
        "redirect_uri": f"{sign_in.url}/oauth2callback",
        "cookie_secret": sign_in.cookie_secret,
        "client_id": sign_in.client_id,
        "client_secret": sign_in.client_secret,
        "server_metadata_url": f"{sign_in.issuer.rstrip('/')}/.well-known/openid-configuration",
        # The service wants the access token; the ID token ends the session at the provider.
        "expose_tokens": ["access"],
    }
    client = {"scope": sign_in.scopes, "code_challenge_method": "S256"}
    sections = (("auth", auth), ("auth.client_kwargs", client))
    return "\n".join(
        "\n".join([f"[{name}]", *map(_line, values.items()), ""]) for name, values in sections
    )


def _line(setting: tuple[str, object]) -> str:
    name, value = setting
    # A string or a list of strings in JSON is one in TOML too.
    return f"{name} = {msgspec.json.encode(value).decode()}"
