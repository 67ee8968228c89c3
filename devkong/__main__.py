"""`python -m devkong`: a stand-in for Kong on a laptop and in tests."""

import argparse
import asyncio
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop

from devkong.app import Devkong, Options
from devkong.errors import ConfigError
from devkong.pdk.log import NOTICE
from devkong.version import KONG_VERSION

_log = logging.getLogger("devkong")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run devkong; gives the exit status: 0 stopped, 1 not startable."""
    args = _parser().parse_args(arguments)
    logging.addLevelName(NOTICE, "NOTICE")
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if args.verbose else logging.INFO,
        format="%(asctime)s [%(levelname)s] %(name)s: %(message)s",
    )
    _log.warning(
        "devkong stands in for Kong %s on a laptop and in tests; it is NOT for production",
        KONG_VERSION,
    )
    options = Options(
        kong_yaml=args.kong_yaml,
        kong_conf=args.kong_conf,
        prefix=args.prefix,
        host=args.host,
        port=args.port,
        environment=dict(os.environ),  # noqa: TID251 - what the env vault reads
        admin_port=args.admin_port,
    )
    try:
        devkong = Devkong(options)
    except ConfigError as error:
        _log.critical("%s", error)
        return 1
    told = {"host": args.host, "port": devkong.port, "pid": os.getpid()}
    if devkong.admin_port is not None:
        told["admin_port"] = devkong.admin_port
    ready = json.dumps(told) + "\n"

    def announce() -> None:
        sys.stdout.write(ready)
        sys.stdout.flush()
        if args.ready_file is not None:
            args.ready_file.write_text(ready, encoding="utf-8")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(devkong.run(announce))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m devkong",
        description=f"A stand-in for Kong {KONG_VERSION} on a laptop and in tests. "
        "It drives the real plugin servers, and fails open exactly as Kong does. "
        "NOT for production.",
    )
    parser.add_argument(
        "--kong-yaml",
        type=Path,
        help="declarative configuration; without it the Admin API fills an empty gateway",
    )
    parser.add_argument("--kong-conf", type=Path, help="kong.conf with the plugin servers")
    parser.add_argument(
        "--prefix", type=Path, default=Path(".devkong"), help="folder for devkong.json"
    )
    parser.add_argument("--host", default="127.0.0.1", help="where to listen")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    parser.add_argument(
        "--admin-port", type=int, help="where the Admin API listens; 0 takes a free one"
    )
    parser.add_argument(
        "--ready-file", type=Path, help="written with host, port and pid once requests are served"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="log debug messages too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
