from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from policy_service.cli import app
from tests.fakes.running_service import MODELS

SETTINGS = {
    "POLICY_INTERNAL_SECRET": "internal-0123456789abcdef",
    "POLICY_TICKET_SECRET": "ticket-0123456789abcdef",
    "POLICY_ADMIN_TOKEN": "admin-0123456789abcdef",
}


@pytest.mark.parametrize(
    ("catalogue", "told"),
    [
        ("models:\n  - alias: m\n    deployments:\n      - {id: d, provider: opnai}\n", "provider"),
        (None, "models.yaml"),
    ],
)
def test_a_faulty_catalogue_is_told_in_a_sentence_and_not_by_a_trace(
    tmp_path: Path, catalogue: str | None, told: str
) -> None:
    file = tmp_path / "models.yaml"
    if catalogue is not None:
        file.write_text(catalogue)
    settings = {
        **SETTINGS,
        "POLICY_MODELS_FILE": str(file),
        "POLICY_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/gatehouse.db",
    }
    done = CliRunner().invoke(app, ["serve", "--port", "9"], env=settings)
    assert done.exit_code == 1
    assert "error:" in done.output
    assert told in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("no url", "URL cannot be read"),
        ("mysql://h/x", "mysql is not supported"),
        ("postgresql://u:secret@127.0.0.1:1/x", "127.0.0.1:1/x; POLICY_DATABASE_URL names it"),
    ],
)
@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_a_database_that_cannot_be_used_is_told_in_a_sentence_and_not_by_a_trace(
    tmp_path: Path, command: str, url: str, told: str
) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(yaml.safe_dump(MODELS))
    settings = {**SETTINGS, "POLICY_MODELS_FILE": str(file), "POLICY_DATABASE_URL": url}
    done = CliRunner().invoke(app, [command], env=settings)
    assert isinstance(done.exception, SystemExit)
    assert told in done.output
    assert "secret" not in done.output


def test_migrating_takes_the_database_and_no_other_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["migrate", "--database-url", "sqlite:///made.db"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "made.db").exists()


def test_going_back_is_asked_about_and_says_which_schemas_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["migrate", "--database-url", "sqlite:///made.db"]
    assert CliRunner().invoke(app, command).exit_code == 0
    asked = CliRunner().invoke(app, [*command, "--down-to", "0016"], input="n\n")
    assert asked.exit_code == 1
    assert "Drop what only schemas after 0016 keep?" in asked.output
    done = CliRunner().invoke(app, [*command, "--down-to", "0016"], input="y\n")
    assert "The database has the schema 0016." in done.output
    wrong = CliRunner().invoke(app, [*command, "--down-to", "0017", "--yes"])
    assert wrong.exit_code == 1
    assert "name one of 0001" in wrong.output
