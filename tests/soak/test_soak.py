"""Traffic while parts of the gateway are killed, paused, slowed and cut off, for minutes.

`GATEHOUSE_SOAK_MINUTES` says how many, 2 by default; `make soak` runs the same by hand.
"""

import os
import sys
from pathlib import Path

import pytest

from tests.soak.run import soak

SEED = 1
MINUTES = float(os.environ.get("GATEHOUSE_SOAK_MINUTES", "2"))  # noqa: TID251 - a test's own setting


@pytest.mark.e2e
async def test_whatever_breaks_the_books_are_exact(tmp_path: Path) -> None:
    report = await soak(
        tmp_path / "soak",
        seed=SEED,
        length_s=MINUTES * 60,
        rate=8,
        tell=lambda line: sys.stderr.write(line + "\n"),
    )
    assert report.is_good, "\n".join(report.lines())
    assert report.faults > 0
