"""Prometheus takes the alerts, and each fires on what it is for and on nothing else."""

import subprocess
from pathlib import Path

import pytest

from tests.fixtures.promtool import promtool_binary

pytestmark = pytest.mark.integration

FOLDER = Path(__file__).parents[3] / "deploy" / "prometheus"
RULES, TESTS = FOLDER / "gatehouse.rules.yml", FOLDER / "gatehouse.rules.test.yml"


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [promtool_binary(), *arguments], capture_output=True, check=False, text=True
    )


def test_prometheus_takes_the_rules() -> None:
    ran = promtool("check", "rules", str(RULES))
    assert ran.returncode == 0, ran.stderr


def test_each_alert_fires_on_what_it_is_for_and_on_nothing_else() -> None:
    ran = promtool("test", "rules", str(TESTS))
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_rule_that_does_something_else_is_noticed(tmp_path: Path) -> None:
    """The files are read, and what they expect is held against what the rules give."""
    for one in (RULES, TESTS):
        (tmp_path / one.name).write_text(one.read_text("utf-8"), encoding="utf-8")
    rules = tmp_path / RULES.name
    before, wrong = "max(gatehouse_plugin_journal_reports) > 0", "vector(0) > 0"
    changed = rules.read_text("utf-8").replace(before, wrong)
    assert wrong in changed
    rules.write_text(changed, encoding="utf-8")
    ran = promtool("test", "rules", str(tmp_path / TESTS.name))
    assert ran.returncode != 0
    assert "GatehouseJournalGrows" in ran.stdout + ran.stderr
