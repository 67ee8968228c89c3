"""Starts the sandbox from the command line."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from sandbox.server import serve
from sandbox.settings import SandboxSettings
from sandbox.wishes import __doc__ as wishes_help

_EPILOG = f"""
Addresses: /openai/v1 (OpenAI SDK's base_url), /azure (Azure SDK's azure_endpoint), /anthropic
(Anthropic SDK's base_url). Credentials: anything that begins with sk-sandbox.

{wishes_help}
GET /_sandbox/calls lists what was received, DELETE forgets it; GET /_sandbox/health.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the options and serve."""
    options = _parser().parse_args(arguments)
    settings = SandboxSettings(
        tokens_per_s=options.tokens_per_s or None,
        azure_models=dict(options.azure_deployment),
        record=options.record,
    )

    def announce(url: str) -> None:
        line = msgspec.json.encode({"url": url, "pid": os.getpid()}).decode() + "\n"
        if options.ready_file:
            # Written aside and moved, so that a reader never sees half of it.
            aside = options.ready_file.with_name(options.ready_file.name + ".new")
            aside.write_text(line, encoding="utf-8")
            aside.replace(options.ready_file)
        sys.stdout.write(line)
        sys.stdout.flush()

    serve(settings, host=options.host, port=options.port, on_ready=announce)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="Stand-ins for OpenAI, Azure OpenAI and Anthropic. Not for production.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument(
        "--ready-file", type=Path, help="gets the line {url, pid} that is also printed"
    )
    parser.add_argument(
        "--record", type=Path, help="gets a line for each call that came and each that ended"
    )
    parser.add_argument(
        "--tokens-per-s", type=float, default=0, help="pace of every answer; 0: at once"
    )
    parser.add_argument(
        "--azure-deployment",
        type=_pair,
        action="append",
        default=[],
        metavar="NAME=MODEL",
        help="model behind an Azure deployment; may be given more than once",
    )
    return parser


def _pair(text: str) -> tuple[str, str]:
    name, separator, model = text.partition("=")
    if not (name and separator and model):
        raise argparse.ArgumentTypeError("expected NAME=MODEL")
    return name, model


if __name__ == "__main__":
    main()
