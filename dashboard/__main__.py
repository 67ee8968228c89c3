"""Starts the dashboard: `python -m dashboard --port 8501`.

Streamlit is given flags that keep it quiet: it sends no statistics, opens no browser and asks no
outside service for its own address.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

APP = Path(__file__).with_name("app.py")


def main(arguments: Sequence[str] | None = None) -> None:
    """Become `streamlit run`."""
    options = _parser().parse_args(arguments)
    command = command_line(options.address, options.port)
    os.execv(command[0], command)  # noqa: S606 - our own interpreter, our own arguments


def command_line(address: str, port: int) -> list[str]:
    """The command that `main` turns into."""
    return [
        *(sys.executable, "-m", "streamlit", "run", str(APP)),
        *("--server.address", address),
        *("--server.port", str(port)),
        *("--server.headless", "true"),
        *("--browser.gatherUsageStats", "false"),
        # Without this a headless Streamlit asks a public service for its address.
        *("--browser.serverAddress", "localhost" if address == _ANY else address),
    ]


_ANY = "0.0.0.0"  # noqa: S104 - compared with, not listened on


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dashboard",
        description="Shows managers what models cost.",
        epilog="Needs DASHBOARD_POLICY_URL and DASHBOARD_ADMIN_TOKEN in the environment; "
        "DASHBOARD_TIMEOUT_S is optional.",
    )
    parser.add_argument("--address", default="127.0.0.1", help="0.0.0.0 in a container")
    parser.add_argument("--port", type=int, default=8501)
    return parser


if __name__ == "__main__":
    main()
