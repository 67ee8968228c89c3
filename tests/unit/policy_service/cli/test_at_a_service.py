"""`gatehouse keys`, `limits`, `approvals` and `admin-tokens` at a running policy service."""

import asyncio
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
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
from tests.fixtures.gateway import eventually
from tests.unit.policy_service.cli.test_company_at_a_server import ROOT, serving

COMPANY = """\
id: acme
users: [{id: sam, team: search}]
departments:
  - id: research
    teams: [{id: search, limits: {usd_per_month: 20}}, {id: other}]
"""
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("service")
    (made / "models.yaml").write_text(yaml.safe_dump(MODELS))
    (made / "company.yaml").write_text(COMPANY)
    return made


@pytest.fixture(scope="module")
def database(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder}/service.db"


@pytest.fixture(scope="module")
def url(folder: Path, database: str) -> Iterator[str]:
    settings = Settings.model_validate(
        {
            "internal_secret": "internal-0123456789abcdef",
            "ticket_secret": "ticket-0123456789abcdef",
            "admin_token": ROOT,
            "models_file": folder / "models.yaml",
            "database_url": database,
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
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("GATEHOUSE_TOKEN", ROOT)
    monkeypatch.setenv("GATEHOUSE_SERVER", url)
    # Of the operator's environment: the service wins, with its rights.
    monkeypatch.setenv("POLICY_DATABASE_URL", f"sqlite+aiosqlite:///{tmp_path}/wrong.db")

    def run(*words: str, said: str = "", token: str = "") -> Result:
        env = {"GATEHOUSE_TOKEN": token} if token else {}
        return CliRunner().invoke(app, list(words), input=said, env=env)

    return run


@pytest.fixture(scope="module")
def owner(url: str, database: str) -> str:
    """A token of who owns `search` and approves there, made as the first is: at the database."""
    assert url
    words = ["admin-tokens", "issue", "--name", "owner", "--grant", "team_owner@team:search"]
    words += ["--grant", "approver@team:search"]
    made = CliRunner().invoke(app, [*words, "--database-url", database])
    assert made.exit_code == 0, made.output
    return made.stdout.strip()


def said(done: Result) -> str:
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_keys_life_at_a_service(run: Run, owner: str, tmp_path: Path) -> None:
    issue = ("keys", "issue", "--team", "search", "--name", "laptop", "--expires", "90d")
    text = said(run(*issue, "--network", "10.0.0.0/8", token=owner)).strip()
    assert text.startswith("gk-")
    checked = said(run("keys", "check", said=text, token=owner))
    assert checked.startswith("live: key_")
    key_id = checked.split(": ")[1].split(",")[0]
    shown = said(run("keys", "show", key_id, token=owner))
    assert "networks: 10.0.0.0/8" in shown
    assert "created_by: admin_token:owner" in shown
    etag = json.loads(said(run("keys", "show", key_id, "--json", token=owner)))["etag"]

    stale = run("keys", "rotate", key_id, "--if-match", '"0"', token=owner)
    assert (stale.exit_code, "It has changed since you read it" in stale.output) == (1, True)
    words = ("keys", "rotate", key_id, "--overlap", "1h", "--if-match", etag, "--json")
    rotated = json.loads(said(run(*words, token=owner)))
    old, new = text, rotated["key"]
    assert said(run("keys", "check", said=old, token=owner)).startswith(f"live: {key_id}, laptop")
    listed = said(run("keys", "list", "--team", "search", token=owner))
    assert all(one[:11] in listed for one in (old, new))
    said(run("keys", "rotate", key_id, "--overlap", "0m", token=owner))
    ended = run("keys", "check", said=new, token=owner)
    assert (ended.exit_code, ended.output.startswith("expired: ")) == (1, True)
    assert said(run("keys", "revoke", key_id, token=owner)) == f"{key_id} is revoked.\n"
    again = run("keys", "revoke", key_id, token=owner)
    assert (again.exit_code, "revoked already" in again.output) == (1, True)
    assert all(one not in shown + listed + ended.output + again.output for one in (old, new))
    assert not (tmp_path / "wrong.db").exists()


def test_who_may_not_is_told_what_is_missing(run: Run, owner: str) -> None:
    theirs = json.loads(said(run("keys", "issue", "--team", "other", "--name", "x", "--json")))
    assert theirs["id"] not in said(run("keys", "list", token=owner))
    for words, told in (
        (("keys", "show", theirs["id"]), "None of your roles permits `keys.read`"),
        (("keys", "revoke", theirs["id"]), "None of your roles permits `keys.write`"),
        (("keys", "issue", "--team", "other", "--name", "y"), "permits `keys.write` on"),
        (("limits", "set", "team:search", "usd_per_month", "9000"), "permits `limits.write`"),
        (("limits", "lift", "team:search", "usd_per_month"), "permits `limits.write`"),
        (("admin-tokens", "list"), "permits `admin_tokens.read`"),
    ):
        refused = run(*words, token=owner)
        assert (refused.exit_code, told in refused.output) == (1, True), refused.output
    assert said(run("keys", "check", said=theirs["key"])).startswith("live: ")
    unknown = run("keys", "check", said=theirs["key"], token=owner)
    assert (unknown.exit_code, unknown.output) == (1, "unknown: you may see no such key\n")


def test_a_limit_is_set_raised_and_lifted(run: Run) -> None:
    limit = ("team:other", "tokens_per_minute")
    assert "is 1000; it was none." in said(
        run("limits", "set", *limit, "1000", "--interactive-share", "0.25")
    )
    assert "is 2000; it was 1000." in said(run("limits", "set", *limit, "2000"))
    [row] = json.loads(said(run("limits", "list", "--node", "team:other", "--json")))
    assert [Decimal(row[name]) for name in ("amount", "interactive_share")] == [2000, 0.25]
    stale = run("limits", "set", *limit, "1", "--if-match", '"0"')
    assert (stale.exit_code, "It has changed since you read it" in stale.output) == (1, True)

    words = ("limits", "raise", *limit, "500", "--until", "7d", "--reason", "the launch")
    told = said(run(*words))
    assert "team:other tokens_per_minute has 500 more until" in told
    raise_id = told.split(":")[0]
    table = said(run("limits", "list", "--node", "team:other"))
    assert all(word in table for word in ("2000", "500", "0.25"))
    assert "the launch" in said(run("limits", "raises", "--node", "team:other"))
    assert said(run("limits", "withdraw", raise_id)) == f"{raise_id} is withdrawn.\n"
    assert json.loads(said(run("limits", "raises", "--json", "--node", "team:other"))) == []
    assert len(json.loads(said(run("limits", "raises", "--past", "--json")))) == 1
    assert run("limits", "withdraw", raise_id).exit_code == 1
    assert said(run("limits", "lift", *limit, "--if-match", row["etag"])).endswith("is lifted.\n")
    assert run("limits", "lift", *limit).exit_code == 1


def test_limits_at_the_database_are_the_same(run: Run, database: str) -> None:
    at = ("--database-url", database)
    limit = ("team:other", "requests_per_minute")
    assert "is 5; it was none." in said(run("limits", "set", *limit, "5", *at))
    assert "is 6; it was 5." in said(run("limits", "set", *limit, "6", *at))
    [there] = json.loads(said(run("limits", "list", "--json", "--node", "team:other", *at)))
    [here] = json.loads(said(run("limits", "list", "--json", "--node", "team:other")))
    assert there == {name: value for name, value in here.items() if name != "etag"}
    words = ("limits", "raise", *limit, "2", "--until", "1d", "--reason", "try", "--json")
    made = json.loads(said(run(*words, *at)))
    assert made["author"].startswith("command_line:")
    [held] = json.loads(said(run("limits", "raises", "--json", *at)))
    assert held == made | {"amount": held["amount"]}
    assert Decimal(held["amount"]) == Decimal(made["amount"])
    assert run("limits", "withdraw", made["id"], *at).exit_code == 0
    assert run("limits", "withdraw", made["id"], *at).exit_code == 1
    assert run("limits", "set", *limit, "7", "--if-match", '"1"', *at).exit_code == 2
    assert run("limits", "lift", *limit, *at).exit_code == 0
    assert run("limits", "lift", *limit, *at).exit_code == 1


def test_a_request_is_listed_shown_granted_and_revoked(run: Run, url: str, owner: str) -> None:
    def asked() -> str:
        body = {"model": "mini", "reason": "the launch", "for": "team:search"}
        headers = {"authorization": f"Bearer {ROOT}"}
        answer = httpx.post(f"{url}/admin/v1/approvals", json=body, headers=headers)
        assert answer.status_code == HTTPStatus.CREATED, answer.text
        return str(answer.json()["id"])

    first = asked()
    assert first in said(run("approvals", "list", "--state", "requested", token=owner))
    own = run("approvals", "grant", first)
    assert (own.exit_code, "Whoever asked" in own.output) == (1, True)
    words = ("approvals", "grant", first, "--amount", "20", "--until", "3d", "--reason", "try")
    assert "for team:search until" in said(run(*words, token=owner))
    shown = said(run("approvals", "show", first, token=owner))
    assert all(word in shown for word in ("Reason: the launch", "try", "20"))
    ended = run("approvals", "revoke", first, "--reason", "over", token=owner)
    assert said(ended) == f"{first} is revoked.\n"
    second = asked()
    refused = run("approvals", "refuse", second, "--reason", "no", "--json", token=owner)
    assert json.loads(said(refused))["state"] == "refused"
    listed = json.loads(said(run("approvals", "list", "--json", "--limit", "1", token=owner)))
    assert [one["id"] for one in listed] == [second]
    unknown = run("approvals", "show", "apr_none", token=owner)
    assert (unknown.exit_code, "There is no approval" in unknown.output) == (1, True)
    odd = run("approvals", "show", "../keys?limit=1", token=owner)
    assert (odd.exit_code, odd.output.startswith("error: ")) == (1, True)


def test_admin_tokens_at_a_service(run: Run, database: str, owner: str) -> None:
    grant = ("--grant", "org_admin@organisation:acme")
    made = run("admin-tokens", "issue", "--name", "ci", *grant, "--json")
    token = json.loads(said(made))
    assert (token["token"][:3], token["record"]["name"]) == ("ga-", "ci")
    by_token = run("admin-tokens", "issue", "--name", "more", *grant, token=token["token"])
    assert (by_token.exit_code, "sign in for that" in by_token.output) == (1, True)
    listed = said(run("admin-tokens", "list"))
    assert "org_admin@organisation:acme" in listed
    assert listed == said(run("admin-tokens", "list", "--database-url", database))
    assert token["token"] not in listed
    assert said(run("admin-tokens", "revoke", token["record"]["id"])).endswith("is revoked.\n")
    assert run("admin-tokens", "revoke", token["record"]["id"]).exit_code == 1
    assert run("admin-tokens", "revoke", "adt_x", "--database-url", database).exit_code == 1
    for wrong in ("org_admin", "king@organisation:acme", "platform_admin@team:search"):
        assert run("admin-tokens", "issue", "--name", "x", "--grant", wrong).exit_code == 2
    soon = run("admin-tokens", "issue", "--name", "x", *grant, "--expires", "soon")
    assert soon.exit_code == 2


COMMANDS = [(one, "list") for one in ("admin-tokens", "approvals", "audit", "keys", "limits")]


@pytest.mark.parametrize("words", COMMANDS)
def test_the_place_has_to_be_said_once(
    run: Run, monkeypatch: pytest.MonkeyPatch, url: str, database: str, words: tuple[str, ...]
) -> None:
    both = run(*words, "--server", url, "--database-url", database)
    assert (both.exit_code, "not both" in both.output) == (2, True)
    monkeypatch.delenv("GATEHOUSE_TOKEN")
    nobody = run(*words)
    assert nobody.exit_code == 1
    assert f"run `gatehouse login --server {url}`" in nobody.output.replace("\n", " ")
    assert run(*words, "--database-url", database).exit_code == 0
    monkeypatch.delenv("GATEHOUSE_SERVER")
    assert "new, empty database" in run(*words).output.replace("\n", " ")
    monkeypatch.delenv("POLICY_DATABASE_URL")
    nowhere = run(*words)
    assert (nowhere.exit_code, "GATEHOUSE_SERVER" in nowhere.output) == (2, True)


def test_the_audit_chain_is_read_and_taken_home(run: Run, tmp_path: Path, owner: str) -> None:
    said(run("keys", "issue", "--team", "search", "--name", "audited"))
    words = ("audit", "list", "--chain", "org:acme", "--kind", "key.", "--since", "1h")

    def listed() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(said(run(*words, "--json")))
        return rows

    eventually(lambda: any(row["payload"]["after"]["name"] == "audited" for row in listed()))
    row = listed()[0]
    assert row["subject"] in said(run(*words))
    shown = json.loads(said(run("audit", "show", "org:acme", str(row["seq"]))))
    assert shown["payload"] == row["payload"]
    assert run("audit", "show", "org:acme", "99999").exit_code == 1
    lines = said(run("audit", "export", "-o", "audit.jsonl", "--chain", "org:acme"))
    assert lines.endswith(" lines in audit.jsonl\n")
    exported = (tmp_path / "audit.jsonl").read_text().splitlines()
    assert lines.split()[0].replace(",", "") == str(len(exported))
    assert "nothing is wrong" in said(run("audit", "verify", "audit.jsonl"))
    for command in (words, ("audit", "export", "-o", "more.jsonl")):
        refused = run(*command, token=owner)
        assert (refused.exit_code, "audit.read" in refused.output) == (1, True), refused.output
    assert not list(tmp_path.glob("more.jsonl*"))
