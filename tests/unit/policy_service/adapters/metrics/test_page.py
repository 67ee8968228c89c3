"""Several processes count in one folder; only what is said while they live goes with them."""

import os
import subprocess
import sys
from pathlib import Path

from policy_service.adapters.metrics.page import _forget_dead
from tests.fixtures.scraping import value

_COUNTS = """
import sys
from prometheus_client import CollectorRegistry, Counter, Gauge
registry = CollectorRegistry()
Counter("calls_total", "", registry=registry).inc(3)
Gauge("waiting", "", registry=registry, multiprocess_mode="livesum").set(5)
print("counted", flush=True)
sys.stdin.read()
"""
_ADDS_UP = """
from pathlib import Path
import os, sys
from prometheus_client import CollectorRegistry
from policy_service.adapters.metrics.page import MetricsPage, shared_folder
page = MetricsPage(CollectorRegistry(), None, shared_folder())
sys.stdout.write(page._counted().decode())
"""


def test_what_an_ended_process_counted_stays_and_what_it_said_of_itself_goes(
    tmp_path: Path,
) -> None:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}  # noqa: TID251
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", _COUNTS],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"counted\n"
    killed, left = workers
    killed.kill()
    killed.communicate()

    def page() -> str:
        done = subprocess.run(
            [sys.executable, "-c", _ADDS_UP], env=environment, capture_output=True, check=True
        )
        return done.stdout.decode()

    try:
        text = page()
        assert value(text, "calls_total") == 6
        assert value(text, "waiting") == 5
    finally:
        left.communicate(b"")
    assert value(page(), "waiting") == 0


def test_nothing_else_in_the_folder_is_touched(tmp_path: Path) -> None:
    kept = [tmp_path / name for name in ("counter_999999999.db", "gauge_all_999999999.db", "x")]
    gone = tmp_path / "gauge_livesum_999999999.db"
    for file in (*kept, gone):
        file.write_bytes(b"")
    _forget_dead(tmp_path)
    assert set(tmp_path.iterdir()) == set(kept)
