"""`gatehouse usage`, `budgets`, `teams` and `models` against a real policy service."""

import asyncio
import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from llm_core.tokens.usage import TokenUsage
from policy_service.adapters.sql import schema
from policy_service.adapters.sql.company import read_company, seed_company
from policy_service.adapters.sql.engine import open_engine
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.cli import app
from policy_service.settings import Settings
from tests.fakes.running_service import MODELS
from tests.integration.sql.usage_rows import usage_row
from tests.unit.policy_service.cli.test_company_at_a_server import COMPANY, ROOT, serving

Run = Callable[..., Result]
NOW = datetime.now(UTC)
USD = (Decimal("1.25"), Decimal("0.000000000001"))


async def _fill(url: str, company: Path) -> None:
    await schema.migrate(url)
    engine = open_engine(url)
    await seed_company(engine, read_company(company))
    await SqlLedger(engine).record(
        [
            usage_row(
                f"dec_{number}", at=NOW, usd=usd, user="=cmd()", input_image_tokens=258 * number
            )
            for number, usd in enumerate(USD)
        ]
    )
    await engine.dispose()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("service")
    (folder / "models.yaml").write_text(yaml.safe_dump(MODELS))
    (folder / "company.yaml").write_text(COMPANY)
    settings = Settings.model_validate(
        {
            "internal_secret": "internal-0123456789abcdef",
            "ticket_secret": "ticket-0123456789abcdef",
            "admin_token": ROOT,
            "models_file": folder / "models.yaml",
            "database_url": f"sqlite+aiosqlite:///{folder}/service.db",
            "credentials": {"openai": "sk-test"},
        }
    )
    asyncio.run(_fill(settings.database_url, folder / "company.yaml"))
    with serving(settings) as made:
        yield made


@pytest.fixture
def run(url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("GATEHOUSE_SERVER", url)
    monkeypatch.setenv("GATEHOUSE_TOKEN", ROOT)
    return lambda *words: CliRunner().invoke(app, list(words))


def test_usage_of_this_month_is_the_ledgers_to_the_last_digit(run: Run) -> None:
    told = run("usage", "--by", "team", "--json")
    assert told.exit_code == 0, told.output
    [row] = json.loads(told.stdout)
    assert row["keys"] == {"team": "search"}
    assert Decimal(row["usd"]) == sum(USD)
    assert row["requests"] == len(USD)


def test_usage_for_people_is_rounded(run: Run) -> None:
    told = run("usage", "--by", "team", "--interval", "day")
    assert "1.25 " in told.output
    assert f"{NOW:%Y-%m-%d}" in told.output


def test_csv_holds_every_digit_and_no_formula(run: Run) -> None:
    told = run("usage", "--by", "user", "--csv", "--only", "team=search")
    [row] = csv.DictReader(io.StringIO(told.stdout))
    assert row["user"] == "'=cmd()"
    assert Decimal(row["usd"]) == sum(USD)
    assert {name for name in row if name.endswith("_tokens")} == {
        f.name for f in fields(TokenUsage)
    }
    assert (row["input_image_tokens"], row["input_audio_tokens"]) == ("258", "0")
    elsewhere = run("usage", "--by", "user", "--csv", "--only", "team=other")
    assert list(csv.DictReader(io.StringIO(elsewhere.stdout))) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--only", "search"], "write department=research"),
        (["--by", "colour"], "colour"),
        (["--interval", "week"], "'hour', 'day' or 'month'"),
        (["--tz", "Mars/North"], "Mars/North"),
        (["--from", "soon"], "from"),
    ],
)
def test_what_cannot_be_asked_ends_with_a_sentence(run: Run, words: list[str], told: str) -> None:
    done = run("usage", *words)
    assert done.exit_code == 1
    assert "error:" in done.output
    assert told in done.output


def test_budgets_say_what_is_left(run: Run) -> None:
    told = run("budgets", "--json")
    [row] = json.loads(told.stdout)
    assert (row["node"], row["measure"]) == ("organisation:acme", "usd_per_month")
    assert Decimal(row["amount"]) == Decimal("0.5")
    assert Decimal(row["left"]) == 0
    assert "organisation:acme" in run("budgets", "--node", "organisation:acme").output


def test_teams_and_models_are_listed(run: Run) -> None:
    assert "search" in run("teams").output
    assert [one["subject"] for one in json.loads(run("teams", "--json").stdout)] == ["team:search"]
    shown = run("models").output
    assert "openai-mini" in shown
    assert "0.15" in shown
    assert json.loads(run("models", "--json").stdout)[0]["alias"] == "mini"


def test_a_stranger_is_told_to_sign_in(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GATEHOUSE_TOKEN", "")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    done = run("teams")
    assert done.exit_code == 1
    assert "gatehouse login" in done.output
