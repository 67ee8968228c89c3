from pathlib import Path

import pytest

from dashboard.__main__ import APP, _secrets, command_line
from tests.unit.dashboard.test_settings import SIGN_IN


def test_streamlit_is_started_quietly():
    command = command_line("0.0.0.0", 8501)  # noqa: S104 - nothing is started
    assert str(APP) in command
    for flag, value in (
        ("--browser.gatherUsageStats", "false"),
        ("--server.headless", "true"),
        ("--server.port", "8501"),
        ("--browser.serverAddress", "localhost"),
    ):
        assert command[command.index(flag) + 1] == value


def test_streamlit_is_told_of_the_sign_in_when_there_is_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.delenv("DASHBOARD_POLICY_URL", raising=False)
    assert _secrets(8501) is None
    assert "--secrets.files" not in command_line("127.0.0.1", 8501, None)
    for name, value in {**SIGN_IN, "DASHBOARD_SECRETS_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    path = _secrets(8501)
    assert path == tmp_path / "secrets-8501.toml"
    command = command_line("127.0.0.1", 8501, path)
    assert command[command.index("--secrets.files") + 1] == str(path)
    assert not any("very-secret" in word for word in command)
