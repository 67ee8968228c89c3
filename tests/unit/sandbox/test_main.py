"""The process itself: starts on a free port, says where, and stops on SIGTERM."""

import json
import subprocess
import sys
from pathlib import Path

import httpx


def test_the_process_says_where_it_listens_and_stops_when_told(tmp_path: Path):
    ready_file = tmp_path / "ready.json"
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--ready-file", str(ready_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            said = json.loads(process.stdout.readline())
            assert json.loads(ready_file.read_text()) == said
            assert said["pid"] == process.pid
            assert httpx.get(said["url"] + "/_sandbox/health").status_code == 200
        finally:
            process.terminate()
            assert process.wait(30) in (0, -15)
