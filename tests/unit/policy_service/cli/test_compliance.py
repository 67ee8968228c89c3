"""`gatehouse compliance report` as an auditor's helper uses it."""

import asyncio
import csv
import io
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from policy_service.adapters.sql import schema
from policy_service.adapters.sql.engine import open_engine
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.cli import app
from tests.integration.sql.usage_rows import usage_row

MODELS = """\
providers:
  openai-eu:
    agreements: {dpa: {since: 2026-01-01, until: 2026-11-15, reference: CT-7}}
    data_processing: {retention_days: 30, trains_on_data: false}
models:
  - alias: gpt-4o-mini
    deployments:
      - {id: openai-gpt-4o-mini, provider: openai, model: gpt-4o-mini, terms: openai-eu}
"""


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    url = f"sqlite+aiosqlite:///{tmp_path}/gatehouse.db"

    async def seed() -> None:
        await schema.migrate(url)
        engine = open_engine(url)
        await SqlLedger(engine).record([usage_row("dec_1"), usage_row("dec_2")])
        await engine.dispose()

    asyncio.run(seed())
    models = tmp_path / "models.yaml"
    models.write_text(MODELS, encoding="utf-8")
    return ["--database-url", url, "--models-file", str(models)]


def report(*words: str) -> Result:
    return CliRunner().invoke(app, ["compliance", "report", *words])


NOVEMBER = ("--from", "2026-11-01", "--to", "2026-11-30")


def test_the_register_is_a_table(options: list[str]) -> None:
    done = report(*NOVEMBER, "--format", "csv", *options)
    assert done.exit_code == 0, done.output
    [row] = csv.DictReader(io.StringIO(done.output))
    assert (row["Deployment"], row["Requests"]) == ("openai-gpt-4o-mini", "2")
    assert row["DPA"] == "lapsed on 2026-11-15 (CT-7)"
    assert row["Retention"] == "30 days"


def test_the_register_is_a_page_in_a_file(options: list[str], tmp_path: Path) -> None:
    page = tmp_path / "register.html"
    done = report(*NOVEMBER, "-o", str(page), *options)
    assert (done.exit_code, done.output) == (0, "")
    assert "lapsed on 2026-11-15 (CT-7)" in page.read_text(encoding="utf-8")


def test_a_register_of_some_calls_says_whose_they_are(options: list[str]) -> None:
    whose = ("--department", "h<r", "--team", "recruiting")
    done = report(*NOVEMBER, *whose, *options)
    assert "Only calls of department h&lt;r and team recruiting. 2026-11-01 to" in done.output
    assert "No deployment was called in this time." in done.output
    assert "Only calls of" not in report(*NOVEMBER, *options).output


def test_another_month_is_empty(options: list[str]) -> None:
    done = report("--from", "2026-10-01", "--to", "2026-10-31", *options)
    assert "No deployment was called in this time." in done.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "November", "--to", "2026-11-30"), "--from: write the day as 2026-11-01"),
        (("--from", "2026-11-02", "--to", "2026-11-01"), "--to lies before --from"),
    ],
)
def test_a_period_that_is_none_is_refused(
    options: list[str], words: tuple[str, ...], said: str
) -> None:
    done = report(*words, *options)
    assert done.exit_code == 1
    assert said in done.stderr


def test_a_models_file_that_is_not_there_is_named(options: list[str]) -> None:
    done = report(*NOVEMBER, *options[:2], "--models-file", "nowhere.yaml")
    assert done.exit_code == 1
    assert "nowhere.yaml" in done.stderr
