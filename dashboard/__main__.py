"""Starts the dashboard: `python -m dashboard --port 8501`.

Streamlit is given flags that keep it quiet: it sends no statistics, opens no browser and asks no
outside service for its own address.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from dashboard.secrets_file import write_secrets
from dashboard.settings import SettingsMissing, load_settings

APP = Path(__file__).with_name("server.py")


def main(arguments: Sequence[str] | None = None) -> None:
    """Become `streamlit run`."""
    options = _parser().parse_args(arguments)
    command = command_line(options.address, options.port, _secrets(options.port))
    os.execv(command[0], command)  # noqa: S606 - our own interpreter, our own arguments


def command_line(address: str, port: int, secrets: Path | None = None) -> list[str]:
    """The command that `main` turns into; `secrets` says how people sign in."""
    return [
        *(sys.executable, "-m", "streamlit", "run", str(APP)),
        *("--server.address", address),
        *("--server.port", str(port)),
        *("--server.headless", "true"),
        *("--browser.gatherUsageStats", "false"),
        # Without this a headless Streamlit asks a public service for its address.
        *("--browser.serverAddress", "localhost" if address == _ANY else address),
        *(("--secrets.files", str(secrets)) if secrets else ()),
    ]


def _secrets(port: int) -> Path | None:
    try:
        sign_in = load_settings().sign_in
    except SettingsMissing:
        # The page says what is missing, to whoever opens it.
        return None
    return write_secrets(sign_in, port) if sign_in else None


_ANY = "0.0.0.0"  # noqa: S104 - compared with, not listened on


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dashboard",
        description="Shows managers what models cost.",
        epilog="Needs DASHBOARD_POLICY_URL in the environment, and DASHBOARD_OIDC_ISSUER with what "
        "belongs to it, so that people sign in. With DASHBOARD_ADMIN_TOKEN whoever reaches it sees "
        "what that may see; with neither, everybody brings an admin token.",
    )
    parser.add_argument("--address", default="127.0.0.1", help="0.0.0.0 in a container")
    parser.add_argument("--port", type=int, default=8501)
    return parser


if __name__ == "__main__":
    main()
