"""`gatehouse approvals` as an operator uses it, on a database file of its own."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from llm_core.policy.roles import Actor
from policy_service.adapters.sql import schema
from policy_service.adapters.sql.approvals import SqlApprovals
from policy_service.adapters.sql.engine import open_engine
from policy_service.adapters.sql.organisation import Organisation
from policy_service.cli import app
from policy_service.ports.approvals import Asked


@pytest.fixture
def asked(tmp_path: Path) -> tuple[str, str]:
    """The database's URL, and the id of a request in it."""
    url = f"sqlite+aiosqlite:///{tmp_path}/gatehouse.db"

    async def seed() -> str:
        await schema.migrate(url)
        engine = open_engine(url)
        organisation = Organisation(engine)
        await organisation.put_organisation("acme")
        await organisation.put_department("research", organisation="acme")
        await organisation.put_team("search", department="research")
        now = datetime.now(UTC)
        wanted = Asked(
            model="o1-pro",
            node="user:sam",
            organisation="acme",
            department="research",
            team="search",
            project=None,
            reason="the launch",
            amount_usd=None,
            until=now + timedelta(days=7),
            requester=Actor("user:sam", "api_key"),
            identities=("user:sam",),
        )
        made, _ = await SqlApprovals(engine).ask(wanted, answer_by=now + timedelta(days=14))
        await engine.dispose()
        return made.id

    return url, asyncio.run(seed())


def run(url: str, *words: str) -> Result:
    return CliRunner().invoke(app, ["approvals", *words, "--database-url", url])


def test_a_request_is_listed_shown_granted_and_revoked(asked: tuple[str, str]) -> None:
    url, approval_id = asked
    assert approval_id in run(url, "list", "--state", "requested", "--team", "search").output
    granted = run(url, "grant", approval_id, "--amount", "20", "--until", "3d", "--reason", "try")
    assert granted.exit_code == 0, granted.output
    assert "o1-pro for user:sam until" in granted.output
    assert "up to $20" in granted.output
    assert run(url, "list", "--state", "requested").output.count(approval_id) == 0
    assert run(url, "revoke", approval_id, "--reason", "over").output == (
        f"{approval_id} is revoked.\n"
    )
    shown = run(url, "show", approval_id).output
    for word in ("the launch", "request", "grant", "revoke", "try", "over", "command_line:"):
        assert word in shown


def test_what_cannot_be_is_told_in_a_sentence(asked: tuple[str, str]) -> None:
    url, approval_id = asked
    assert run(url, "refuse", approval_id, "--reason", "no").exit_code == 0
    for words, code, told in (
        (("grant", approval_id), 1, "It is refused already"),
        (("grant", "apr_none"), 1, "there is no approval 'apr_none'"),
        (("show", "apr_none"), 1, "there is no approval 'apr_none'"),
        (("grant", approval_id, "--amount", "much"), 2, "'much' is no amount"),
        (("grant", approval_id, "--amount", "nan"), 2, "'nan' is no amount"),
        (("grant", approval_id, "--until", "soon"), 2, "'soon' is no time"),
    ):
        done = run(url, *words)
        assert (done.exit_code, told in done.output) == (code, True), done.output


def test_terms_that_cannot_be_granted_are_told(asked: tuple[str, str]) -> None:
    url, approval_id = asked
    done = run(url, "grant", approval_id, "--amount", "5", "--until", "60d")
    assert (done.exit_code, "30 days at most" in done.output) == (1, True)


def test_a_key_is_not_sent_where_it_can_be_read() -> None:
    words = ["approvals", "mine", "--gateway", "http://llm.acme.example", "--api-key", "gk-1"]
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, "not reached by https" in done.output) == (1, True)
    assert "gk-1" not in done.output
