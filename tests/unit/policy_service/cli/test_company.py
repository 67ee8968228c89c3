from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from policy_service.cli import app

COMPANY = """\
id: acme
departments:
  - id: research
    teams:
      - {id: search, limits: {usd_per_month: 200}, keys: [{name: laptop}]}
"""
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("POLICY_DATABASE_URL", f"sqlite+aiosqlite:///{tmp_path}/gatehouse.db")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "company.yaml").write_text(COMPANY)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def test_a_company_is_shown_applied_and_left_as_it_is(run: Run) -> None:
    shown = run("apply", "-f", "company.yaml", "--dry-run", "--exit-code")
    assert shown.exit_code == 2, shown.output
    assert "+ limit team:search usd_per_month: amount 200" in shown.output
    assert "gk-" not in shown.output
    assert run("apply", "-f", "company.yaml", "--dry-run").exit_code == 0
    applied = run("apply", "-f", "company.yaml")
    assert applied.exit_code == 0
    assert "  laptop: gk-" in applied.output
    again = run("apply", "-f", "company.yaml", "--dry-run", "--exit-code")
    assert (again.exit_code, again.output) == (0, "No changes.\n")


def test_an_export_can_be_applied(run: Run, tmp_path: Path) -> None:
    run("apply", "-f", "company.yaml")
    printed = run("export")
    assert run("export", "--file", "export.yaml").exit_code == 0
    assert (tmp_path / "export.yaml").read_text() == printed.output
    assert run("apply", "-f", "export.yaml", "--prune").output == "No changes.\n"


def test_what_the_file_does_not_name_is_told_and_pruned_on_demand(run: Run, tmp_path: Path) -> None:
    run("apply", "-f", "company.yaml")
    (tmp_path / "company.yaml").write_text("id: acme\n")
    left = run("apply", "-f", "company.yaml").output
    assert left.startswith("No changes.\nLeft alone, because the file does not name it")
    assert "  - key laptop of team search: revoked" in left
    assert "- team search" in run("apply", "-f", "company.yaml", "--prune").output
    assert run("apply", "-f", "company.yaml", "--prune").output == "No changes.\n"


def test_a_fault_in_the_file_ends_with_its_place(run: Run, tmp_path: Path) -> None:
    (tmp_path / "company.yaml").write_text("id: acme\ncolour: red\n")
    failed = run("apply", "-f", "company.yaml")
    assert failed.exit_code == 1
    assert "company.yaml:2: colour" in failed.output.replace("\n", "")


def test_a_limit_is_raised_and_the_raise_withdrawn(run: Run) -> None:
    run("apply", "-f", "company.yaml")
    limit = ("team:search", "usd_per_month")
    raised = run("limits", "raise", *limit, 50, "--until", "7d", "--reason", "A launch")
    assert raised.exit_code == 0, raised.output
    raise_id = raised.output.partition(":")[0]
    assert raise_id in run("limits", "raises").output
    assert run("limits", "withdraw", raise_id).exit_code == 0
    assert run("limits", "withdraw", raise_id).exit_code == 1
    assert raise_id not in run("limits", "raises").output
    assert raise_id in run("limits", "raises", "--past").output


@pytest.mark.parametrize(
    ("amount", "until"), [("many", "7d"), ("5", "tomorrow"), ("5", "2030-01-01"), ("5", "9999d")]
)
def test_a_raise_that_makes_no_sense_is_refused(run: Run, amount: str, until: str) -> None:
    run("apply", "-f", "company.yaml")
    words = ("team:search", "usd_per_month", amount, "--until", until, "--reason", "why")
    assert run("limits", "raise", *words).exit_code == 1
