"""`gatehouse policy`, `privacy` and `content` at a running policy service."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from policy_service.adapters.sql import schema
from policy_service.adapters.sql.company import read_company, seed_company
from policy_service.adapters.sql.engine import open_engine
from policy_service.cli import app
from policy_service.settings import Settings
from tests.fakes.running_service import MODELS
from tests.fixtures.policies import REGO
from tests.unit.policy_service.cli.test_company_at_a_server import ROOT, serving

COMPANY = (
    "{id: acme, users: [{id: sam, team: search}], departments: [{id: r, teams: [{id: search}]}]}"
)
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("policies")
    (made / "models.yaml").write_text(yaml.safe_dump(MODELS))
    (made / "company.yaml").write_text(COMPANY)
    for words in (
        ["keys", "--out", str(made)],
        ["bundle", str(REGO), "-o", str(made / "one.tar.gz"), "--signing-key", _key(made)],
    ):
        done = CliRunner().invoke(app, ["policy", *words])
        assert done.exit_code == 0, done.output
    return made


def _key(folder: Path) -> str:
    return str(folder / "policy-signing.key")


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    database = f"sqlite+aiosqlite:///{folder}/service.db"
    settings = Settings.model_validate(
        {
            "internal_secret": "internal-0123456789abcdef",
            "ticket_secret": "ticket-0123456789abcdef",
            "admin_token": ROOT,
            "models_file": folder / "models.yaml",
            "database_url": database,
            "bundle_keys": folder / "policy-signing.pub.pem",
            "credentials": {"openai": "sk-test"},
        }
    )

    async def fill() -> None:
        await schema.migrate(database)
        engine = open_engine(database)
        await seed_company(engine, read_company(folder / "company.yaml"))
        await engine.dispose()

    asyncio.run(fill())
    with serving(settings) as found:
        yield found


@pytest.fixture
def run(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("POLICY_DATABASE_URL", "POLICY_BUNDLE_KEYS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GATEHOUSE_TOKEN", ROOT)
    monkeypatch.setenv("GATEHOUSE_SERVER", url)
    return lambda *words: CliRunner().invoke(app, list(words))


def said(done: Result) -> str:
    assert done.exit_code == 0, done.output
    return done.output


def test_a_policys_life_at_a_service(run: Run, folder: Path) -> None:
    kept = said(run("policy", "upload", str(folder / "one.tar.gz")))
    revision = kept.split()[0]
    assert "passed" in kept

    assert f"{revision} is evaluated beside" in said(run("policy", "shadow", "on", revision))
    assert "evaluated 0" in said(run("policy", "shadow", "show"))
    assert "no shadow" in said(run("policy", "shadow", "off"))
    assert "There is no shadow" in said(run("policy", "shadow", "show"))

    said(run("policy", "activate", revision, "--reason", "ticket 1"))
    assert "live" in said(run("policy", "show", revision))
    listed = said(run("policy", "list"))
    assert "ticket 1" in listed
    assert "No bundle is live" not in listed

    assert "live again" in said(run("policy", "rollback", "--reason", "ticket 2"))
    assert "No bundle is live" in said(run("policy", "list"))


def test_what_somebody_else_has_changed_meanwhile_is_not_changed(run: Run, folder: Path) -> None:
    revision = said(run("policy", "upload", str(folder / "one.tar.gz"))).split()[0]

    def tag() -> str:
        return str(json.loads(said(run("policy", "list", "--json")))["etag"])

    seen = tag()
    on = ("policy", "shadow", "on", revision)
    said(run(*on, "--if-match", seen))
    for words in (
        on,
        ("policy", "shadow", "off"),
        ("policy", "activate", revision, "--reason", "ticket 4"),
        ("policy", "rollback", "--reason", "ticket 5"),
    ):
        stale = run(*words, "--if-match", seen)
        told = "It has changed since you read it" in stale.output
        assert (stale.exit_code, told) == (1, True), stale.output
        said(run(*words, "--if-match", tag()))
    at = ("--database-url", f"sqlite+aiosqlite:///{folder}/service.db")
    for words in (on, ("policy", "shadow", "off"), ("policy", "rollback", "--reason", "x")):
        done = run(*words, "--if-match", seen, *at)
        assert (done.exit_code, "--if-match is for a service" in done.output) == (2, True)


def test_what_a_service_refuses_is_told_in_its_words(run: Run, folder: Path) -> None:
    (folder / "none.tar.gz").write_bytes(b"none")
    refused = run("policy", "upload", str(folder / "none.tar.gz"))
    assert refused.exit_code == 1
    assert "tarball" in refused.output
    missing = run("policy", "activate", "2020-01-01.1", "--reason", "ticket 3")
    assert missing.exit_code == 1
    assert "2020-01-01.1" in missing.output


def test_keys_are_the_services_own(run: Run, folder: Path) -> None:
    key = str(folder / "policy-signing.pub.pem")
    done = run("policy", "upload", str(folder / "one.tar.gz"), "--keys", key)
    assert done.exit_code == 2
    assert "POLICY_BUNDLE_KEYS" in done.output


def test_an_erasure_at_a_service_is_counted_first(run: Run) -> None:
    erase = ("privacy", "erase", "sam", "--reason", "request 17")
    assert said(run(*erase, "--dry-run")).startswith("It would take: 0 in")
    assert "stands for them now" in said(run(*erase))


def test_words_are_for_who_signs_in_as_an_auditor(run: Run) -> None:
    refused = run("content", "list", "--team", "search")
    assert refused.exit_code == 1
    assert "permit" in refused.output
    shown = run("content", "show", "dec_1", "--reason", "complaint 4711", "--key-file", "key")
    assert shown.exit_code == 2
    assert "--key-file is for a database" in shown.output
