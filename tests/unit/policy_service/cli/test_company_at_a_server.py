"""`gatehouse apply --server` and `export --server`: the same through the admin API."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn
import yaml
from click.testing import Result
from typer.testing import CliRunner

from policy_service.adapters.sql import schema
from policy_service.app import create_app
from policy_service.cli import app
from policy_service.settings import Settings
from tests.fakes.running_service import MODELS
from tests.fixtures.services import free_port

COMPANY = """\
id: acme
limits: {usd_per_month: 0.5}
users: [{id: sam, team: search}]
departments:
  - id: research
    teams:
      - {id: search, keys: [{name: laptop, networks: [10.0.0.0/8]}]}
"""
ROOT = "admin-0123456789abcdef"
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    (tmp_path / "models.yaml").write_text(yaml.safe_dump(MODELS))
    (tmp_path / "company.yaml").write_text(COMPANY)
    settings = Settings.model_validate(
        {
            "internal_secret": "internal-0123456789abcdef",
            "ticket_secret": "ticket-0123456789abcdef",
            "admin_token": ROOT,
            "models_file": tmp_path / "models.yaml",
            "database_url": f"sqlite+aiosqlite:///{tmp_path}/service.db",
            "credentials": {"openai": "sk-test"},
        }
    )
    asyncio.run(schema.migrate(settings.database_url))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("GATEHOUSE_TOKEN", ROOT)
    with serving(settings) as url:
        yield lambda *words: CliRunner().invoke(app, [*words, "--server", url])


@contextlib.contextmanager
def serving(settings: Settings) -> Iterator[str]:
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(create_app(settings), host="127.0.0.1", port=port, log_level="warning")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            thread.join(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def test_a_company_is_shown_applied_pruned_and_written_back(run: Run, tmp_path: Path) -> None:
    shown = run("apply", "-f", "company.yaml", "--dry-run", "--exit-code")
    assert shown.exit_code == 3, shown.output
    assert "+ limit organisation:acme usd_per_month: amount 0.5" in shown.output
    assert "gk-" not in shown.output
    applied = run("apply", "-f", "company.yaml")
    assert "  laptop: gk-" in applied.output
    assert run("apply", "-f", "company.yaml").output == "No changes.\n"
    exported = run("export", "--file", "export.yaml", "--organisation", "acme")
    assert exported.exit_code == 0, exported.output
    assert run("apply", "-f", "export.yaml", "--prune").output == "No changes.\n"
    (tmp_path / "company.yaml").write_text(COMPANY.replace("users: [{id: sam, team: search}]", ""))
    assert "--prune removes it:\n  - user sam" in run("apply", "-f", "company.yaml").output
    assert run("apply", "-f", "company.yaml", "--prune").output == "- user sam\n"
    assert not (tmp_path / "gatehouse.db").exists()


def test_a_fault_in_the_file_is_told_with_its_line_before_anybody_is_asked(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GATEHOUSE_TOKEN")
    (tmp_path / "company.yaml").write_text("id: acme\ncolour: red\n")
    assert "company.yaml:2: colour" in run("apply", "-f", "company.yaml").output


@pytest.mark.parametrize("words", [("apply", "-f", "company.yaml"), ("export",)])
def test_without_a_permission_or_a_sign_in_nothing_is_done(
    run: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("GATEHOUSE_TOKEN", "ga-nobody")
    assert run(*words).exit_code == 1
    monkeypatch.delenv("GATEHOUSE_TOKEN")
    refused = run(*words)
    assert refused.exit_code == 1
    assert "gatehouse login --server" in refused.output.replace("\n", " ")


def test_what_the_service_refuses_is_told(run: Run, tmp_path: Path) -> None:
    run("apply", "-f", "company.yaml")
    (tmp_path / "company.yaml").write_text(COMPANY.replace("id: acme", "id: other"))
    refused = run("apply", "-f", "company.yaml")
    assert refused.exit_code == 1
    assert "research" in refused.output
