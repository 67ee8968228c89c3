import re
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
    assert shown.exit_code == 3, shown.output
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
    told = failed.output.replace("\n", "")
    assert "company.yaml:2: colour: there is no such field here" in told


def test_faults_are_told_from_the_top_down(run: Run, tmp_path: Path) -> None:
    (tmp_path / "company.yaml").write_text("colour: red\nid: acme\ntime_zone: Mars\nshape: 1\n")
    told = run("apply", "-f", "company.yaml").output.replace("\n", " ")
    assert told.index("yaml:1: colour") < told.index("yaml:3: time_zone") < told.index("yaml:4")
    (tmp_path / "company.yaml").write_text("")
    assert "has to be a mapping of fields" in run("apply", "-f", "company.yaml").output


def test_a_new_database_and_one_that_is_not_there_are_told(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "gatehouse.db is a new, empty database" in run("keys", "list").output.replace("\n", "")
    assert "new" not in run("keys", "list").output
    monkeypatch.setenv("POLICY_DATABASE_URL", "postgresql://u:secret@127.0.0.1:1/gatehouse")
    away = run("keys", "list")
    assert away.exit_code == 1
    assert "127.0.0.1:1/gatehouse" in away.output.replace("\n", "")
    assert "secret" not in away.output
    monkeypatch.setenv("POLICY_DATABASE_URL", "no url")
    assert "URL cannot be read" in run("keys", "list").output


def test_ids_are_never_cut_since_people_copy_them(run: Run) -> None:
    run("apply", "-f", "company.yaml")
    run("limits", "raise", "team:search", "usd_per_month", 5, "--until", "7d", "--reason", "why")
    run("admin-tokens", "issue", "--name", "ci", "--grant", "auditor@platform:*")
    for words, pattern in (
        (("keys", "list"), r"key_\w{26} "),
        (("admin-tokens", "list"), r"adt_\w{26} "),
        (("limits", "raises"), r"raise_\w{26} "),
    ):
        assert re.search(pattern, run(*words).output), words


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
    ("node", "measure", "told"),
    [
        ("team:search", "usd_per_day", "team:search has usd_per_month"),
        ("search", "usd_per_month", "search has none: write a node as team:search"),
    ],
)
def test_a_raise_of_no_limit_tells_which_there_are(
    run: Run, node: str, measure: str, told: str
) -> None:
    run("apply", "-f", "company.yaml")
    refused = run("limits", "raise", node, measure, 5, "--until", "7d", "--reason", "why")
    assert refused.exit_code == 1
    assert told in refused.output.replace("\n", " ")


@pytest.mark.parametrize("until", ["30m", "12h", "366d"])
def test_a_raise_lasts_as_long_as_is_said_in_any_unit(run: Run, until: str) -> None:
    run("apply", "-f", "company.yaml")
    words = ("team:search", "usd_per_month", 5, "--until", until, "--reason", "why")
    assert run("limits", "raise", *words).exit_code == 0


@pytest.mark.parametrize(
    ("amount", "until", "code"),
    [("many", "7d", 2), ("5", "tomorrow", 2), ("5", "2030-01-01", 2), ("5", "9999d", 1)],
)
def test_a_raise_that_makes_no_sense_is_refused(
    run: Run, amount: str, until: str, code: int
) -> None:
    run("apply", "-f", "company.yaml")
    words = ("team:search", "usd_per_month", amount, "--until", until, "--reason", "why")
    assert run("limits", "raise", *words).exit_code == code
