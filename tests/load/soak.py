"""Soak and chaos: traffic for minutes or hours while parts of the gateway are killed, paused,
slowed and cut off; then every answer, row and counter is held against what was served.

    python -m tests.load.soak [--minutes 10] [--seed 1] [--rate 12] [--folder DIR]

Exits with 1 when a check fails; docs/soak.md says how to read that.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

from tests.load.figures import machine
from tests.soak.run import Report, soak


def main() -> None:
    """Run it, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10, help="of traffic and faults")
    parser.add_argument("--seed", type=int, default=1, help="fixes faults and questions")
    parser.add_argument("--rate", type=float, default=12, help="requests a second")
    parser.add_argument("--folder", type=Path, help="for logs and records; a temporary one")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="gatehouse-soak-"))
    _tell(machine())
    running = soak(
        folder / "run",
        seed=options.seed,
        length_s=options.minutes * 60,
        rate=options.rate,
        tell=lambda line: _tell(f"{datetime.now(UTC):%H:%M:%S}  {line}"),
    )
    try:
        report = uvloop.run(_until_told_to_stop(running))
    except asyncio.CancelledError:
        sys.exit("stopped, with everything that ran")
    _tell("\n".join(report.lines()))
    sys.exit(not report.is_good)


async def _until_told_to_stop(running: Coroutine[Any, Any, Report]) -> Report:
    """Ctrl-C and SIGTERM end it in order: nothing that it started is left."""
    task = asyncio.ensure_future(running)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
