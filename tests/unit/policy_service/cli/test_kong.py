import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from devkong.conf import parse_conf
from policy_service.cli import app
from policy_service.cli.kong import PLUGINS, config_lines
from policy_service.cli.kong import installing as module


def test_the_config_of_an_installation_names_its_python_and_its_prefix() -> None:
    ran = CliRunner().invoke(
        app, ["kong", "config", "--prefix", "/srv/kong", "--python", "/srv/venv/bin/python"]
    )
    assert ran.exit_code == 0
    conf = parse_conf(ran.output)
    assert conf.plugins == ("bundled", *PLUGINS)
    for server in conf.plugin_servers:
        assert server.socket == f"/srv/kong/{server.name}.sock"
        assert server.start_cmd
        assert server.start_cmd.startswith("/srv/venv/bin/python -m kong_plugins.llm_")
        assert server.start_cmd.endswith("--kong-prefix /srv/kong")
        assert server.query_cmd == server.start_cmd.replace("--kong-prefix /srv/kong", "--dump")


def test_the_python_that_runs_the_command_is_the_default() -> None:
    ran = CliRunner().invoke(app, ["kong", "config"])
    assert ran.output == config_lines(Path("/usr/local/kong"), Path(sys.executable)) + "\n"


def test_the_descriptions_for_sidecars_are_written(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    ran = CliRunner().invoke(app, ["kong", "dump", str(folder)])
    assert ran.exit_code == 0
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{p}.json" for p in PLUGINS)
    for name in PLUGINS:
        [described] = json.loads((folder / f"{name}.json").read_text())
        assert described["Name"] == name
    assert "secret" not in ran.output


def test_a_plugin_that_cannot_be_described_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "ModuleNotFoundError: kong_pdk")

    monkeypatch.setattr(module.subprocess, "run", run)
    ran = CliRunner().invoke(app, ["kong", "dump", str(tmp_path)])
    assert ran.exit_code == 1
    assert "llm-auth cannot be described" in ran.output
    assert "Traceback" not in ran.output
