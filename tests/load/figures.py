"""Figures and machine facts, as the benchmarks print them."""

import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def percentile_ms(taken_s: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile, in milliseconds."""
    ordered = sorted(taken_s)
    rank = min(int(len(ordered) * percent / 100), len(ordered) - 1)
    return ordered[rank] * 1000


def median_of_rounds_ms(rounds: Sequence[Sequence[float]]) -> float:
    """The median of the rounds' medians: a round that others disturbed counts as one round."""
    return statistics.median(statistics.median(taken) for taken in rounds) * 1000


def machine() -> str:
    """Date, processor, memory, versions and load, in one line each."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if "model name" in line), "?")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    asked = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {asked.stdout.strip() or '?'}\n"
        f"{os.cpu_count()} x {model}, {memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}\n"
        f"{load()}"
    )


def load() -> str:
    """How busy the machine is with everything that runs on it."""
    return "load average " + " ".join(f"{part:.2f}" for part in os.getloadavg())
