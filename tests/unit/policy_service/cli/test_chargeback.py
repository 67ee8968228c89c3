"""`gatehouse chargeback` and `gatehouse reports` against a real policy service."""

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from policy_service.adapters.sql import schema
from policy_service.adapters.sql.company import read_company, seed_company
from policy_service.adapters.sql.engine import open_engine
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.cli import app
from policy_service.settings import Settings
from tests.fakes.running_service import MODELS
from tests.fixtures.mail_server import MailServer, start_mail_server
from tests.integration.sql.usage_rows import usage_row
from tests.unit.policy_service.cli.test_company_at_a_server import COMPANY, ROOT, serving

Run = Callable[..., Result]
LAST_MONTH = datetime.now(UTC).replace(day=1) - timedelta(days=5)
PERIOD = f"{LAST_MONTH:%Y-%m}"


async def fill(url: str, company: Path) -> None:
    await schema.migrate(url)
    engine = open_engine(url)
    await seed_company(engine, read_company(company))
    rows = [
        usage_row("dec_1", at=LAST_MONTH, usd=Decimal("1.25"), project=None),
        usage_row("dec_2", at=LAST_MONTH, usd=Decimal("0.005"), cost_centre="CC-1"),
    ]
    await SqlLedger(engine).record(rows)
    await engine.dispose()


@pytest.fixture(scope="module")
def mail() -> Iterator[MailServer]:
    with start_mail_server() as server:
        yield server


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, mail: MailServer) -> Iterator[str]:
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
            "smtp_url": mail.url,
            "smtp_from": "gatehouse@acme.example",
        }
    )
    asyncio.run(fill(settings.database_url, folder / "company.yaml"))
    with serving(settings) as found:
        yield found


@pytest.fixture
def run(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("GATEHOUSE_TOKEN", ROOT)
    monkeypatch.setenv("GATEHOUSE_SERVER", url)
    monkeypatch.setenv("GATEHOUSE_ORGANISATION", "acme")
    return lambda *words: CliRunner().invoke(app, list(words))


def test_a_month_is_previewed_divided_closed_and_taken_home(run: Run, tmp_path: Path) -> None:
    assert "Nothing is shared" in run("chargeback", "rules").output
    rules = {
        "shared": [
            {
                "name": "ranking",
                "match": {"project": "ranking"},
                "allocate": "fixed",
                "shares": {"team:search": 1.0},
            }
        ],
        "currency": {"code": "EUR", "usd_rate": 0.92},
    }
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules))
    shown = run("chargeback", "rules", "-f", "rules.yaml")
    assert "fixed: team:search 1.0" in shown.output
    assert "EUR, 0.92 for a dollar" in shown.output

    seen = run("chargeback", "preview", PERIOD)
    assert seen.exit_code == 0, seen.output
    assert "1.255" in seen.output
    assert "Shared: ranking, 0.005000000000 USD by fixed." in seen.output
    told = json.loads(run("chargeback", "preview", PERIOD, "--json").output)
    assert Decimal(told["total_usd"]) == Decimal("1.255")

    assert run("chargeback", "close", PERIOD).exit_code == 1  # nobody said yes
    closed = run("chargeback", "close", PERIOD, "--yes")
    assert "is closed with 1.255000000000 USD" in closed.output
    again = run("chargeback", "close", PERIOD, "--yes")
    assert again.exit_code == 1
    assert "closed already" in again.output
    [row] = json.loads(run("chargeback", "list", "--json").output)["rows"]
    assert "by root_token" in run("chargeback", "show", row["id"]).output
    assert PERIOD in run("chargeback", "list").output

    for form, ending in (("csv", "csv"), ("xlsx", "xlsx"), ("focus", "focus.csv")):
        assert run("chargeback", "export", row["id"], "--format", form).exit_code == 0
        assert (tmp_path / f"chargeback-{row['id']}.{ending}").stat().st_size > 100
    assert run("chargeback", "export", PERIOD, "--out", "mine.csv").exit_code == 0
    assert (tmp_path / "mine.csv").read_bytes().startswith(b"period,cost_centre")
    assert "no format 'pdf'" in run("chargeback", "export", PERIOD, "--format", "pdf").output


def test_rules_that_somebody_else_has_changed_are_not_overwritten(run: Run, tmp_path: Path) -> None:
    shown = json.loads(run("chargeback", "rules", "--json").output)
    file = tmp_path / "rules.json"
    shown["currency"] = {"code": "GBP", "usd_rate": "0.8"}
    file.write_text(json.dumps(shown))
    assert "GBP, 0.8 for a dollar" in run("chargeback", "rules", "-f", "rules.json").output
    stale = run("chargeback", "rules", "-f", "rules.json")  # its etag is of before
    assert (stale.exit_code, "It has changed since you read it" in stale.output) == (1, True)
    now = json.loads(run("chargeback", "rules", "--json").output)["etag"]
    before = {"shared": shown["shared"], "currency": None}
    file.write_text(json.dumps(before))
    words = ("chargeback", "rules", "-f", "rules.json", "--if-match")
    assert [run(*words, condition).exit_code for condition in (shown["etag"], "")] == [1, 1]
    assert run(*words, now).exit_code == 0
    assert run("chargeback", "rules", "--if-match", now).exit_code == 2


def test_an_invoice_is_compared(run: Run, tmp_path: Path) -> None:
    (tmp_path / "invoice.csv").write_text("was,kostet\ngpt-4o-mini,2\n")
    words = ("chargeback", "reconcile", PERIOD, "invoice.csv", "--provider", "openai")
    missing = run(*words)
    assert missing.exit_code == 1
    assert "no column for model" in missing.output
    found = run(*words, "--column", "model=was", "--column", "usd=kostet", "--json")
    assert Decimal(json.loads(found.output)["difference_usd"]) == Decimal("0.745")
    assert "gpt-4o-mini" in run(*words, "--column", "model=was", "--column", "usd=kostet").output
    assert "no column" in run(*words, "--column", "was").output
    assert "cannot be read" in run(*words[:3], "none.csv", "--provider", "openai").output


def test_reports_are_set_previewed_sent_and_removed(
    run: Run, tmp_path: Path, mail: MailServer
) -> None:
    made = run("reports", "set", "weekly", "--node", "team:search", "--to", "boss@acme.example")
    assert made.exit_code == 0, made.output
    assert "weekly at 7:00 UTC" in made.output
    assert "team:search" in run("reports", "list").output
    assert run("reports", "preview", "--node", "team:search").exit_code == 0
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    sent = run("reports", "send", "weekly")
    assert sent.exit_code == 0, sent.output
    assert len(mail.messages) == 1
    mail.answers = "554 no"
    failed = run("reports", "send", "weekly")
    mail.answers = None
    assert failed.exit_code == 1
    assert "it was not sent to email" in failed.output
    history = json.loads(run("reports", "history", "weekly", "--json").output)["rows"]
    assert {one["state"] for one in history} == {"sent", "failed"}
    stale = run("reports", "remove", "weekly", "--if-match", '"0123"')
    assert (stale.exit_code, "It has changed since you read it" in stale.output) == (1, True)
    [row] = json.loads(run("reports", "list", "--json").output)["rows"]
    assert run("reports", "remove", "weekly", "--if-match", row["etag"]).exit_code == 0
    assert json.loads(run("reports", "list", "--json").output)["rows"] == []
    refused = run("reports", "set", "w", "--node", "team:none", "--to", "boss@acme.example")
    assert refused.exit_code == 1


def test_one_schedule_sends_every_department_its_own(run: Run, mail: MailServer) -> None:
    words = ("reports", "set", "each", "--node", "organisation:acme", "--per-department")
    to = ("--to", "boss@acme.example", "--department-to", "research=head@acme.example")
    made = run(*words, *to, "--kind", "chargeback")
    assert made.exit_code == 0, made.output
    assert "chargeback, each department" in made.output
    assert "research: head@acme.example" in made.output
    before = len(mail.messages)
    sent = run("reports", "send", "each")
    assert sent.exit_code == 0, sent.output
    assert "department:research" in sent.output
    told = {str(one["To"]): str(one["Subject"]) for one in mail.messages[before:]}
    assert "department:research owes" in told["head@acme.example"]
    assert run("reports", "remove", "each").exit_code == 0
    misused = run(*words, "--to", "boss@acme.example", "--department-to", "head@acme.example")
    assert misused.exit_code == 2
    assert "research=head@acme.example" in misused.output
