"""The cases of tests/kong reach a Kong that somebody else has started: here a devkong is one."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from policy_service.cli.kong import config_lines
from tests.fixtures.company import COMPANY, models
from tests.fixtures.gateway import eventually, start_gateway
from tests.fixtures.real_kong import RealKong

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]


@pytest.mark.e2e
def test_a_kong_that_runs_already_is_given_the_tests_routes(tmp_path: Path) -> None:
    prefix, ready = tmp_path / "kong", tmp_path / "ready.json"
    prefix.mkdir()
    (tmp_path / "kong.conf").write_text(config_lines(prefix, Path(sys.executable)) + "\n")
    (tmp_path / "kong.yaml").write_text("_format_version: '3.0'\n")
    files = ("--kong-conf", str(tmp_path / "kong.conf"), "--kong-yaml", str(tmp_path / "kong.yaml"))
    ports = ("--port", "0", "--admin-port", "0", "--ready-file", str(ready))
    command = (sys.executable, "-m", "devkong", "--prefix", str(prefix), *files, *ports)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            told = json.loads(eventually(lambda: ready.exists() and ready.read_text(), 60))
            proxy, admin = (f"http://127.0.0.1:{told[name]}" for name in ("port", "admin_port"))
            kong = RealKong(proxy, admin, prefix)
            with start_gateway(
                tmp_path / "gateway", company=COMPANY, models=models, kong=kong
            ) as gateway:
                answer = gateway.client().chat.completions.create(
                    model="gpt-4o-mini", messages=HELLO
                )
                assert answer.choices[0].message.content
                before = gateway.plugin_server_pid("llm-auth")
                assert before is not None
                os.kill(before, signal.SIGKILL)
                eventually(lambda: gateway.plugin_server_pid("llm-auth") not in (None, before))
        finally:
            process.terminate()
