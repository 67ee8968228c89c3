"""`gatehouse content` and `gatehouse privacy` on a database file of their own."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from click.testing import Result
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from policy_service.adapters.content_keys import ContentKeys, new_content_key
from policy_service.adapters.sql import schema
from policy_service.adapters.sql.audit import AuditLog
from policy_service.adapters.sql.content_log import SqlContentLog
from policy_service.adapters.sql.engine import open_engine
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.cli import app
from policy_service.ports.content import ContentRow, Part
from policy_service.ports.organisation import AuditRecord
from tests.integration.sql.usage_rows import usage_row

T = TypeVar("T")
WORDS = b'{"said": "Blue Heron"}'
WHY = "complaint 4711, as agreed"
NOW = datetime.now(UTC)


class Database:
    """A file with one sealed call of ada's, and the key that opens it."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite+aiosqlite:///{folder}/gatehouse.db"
        self.key_file = folder / "keys"
        self.key_file.write_text(new_content_key())
        asyncio.run(self._fill())

    @property
    def keys(self) -> ContentKeys:
        return ContentKeys({"default": self.key_file.read_text()})

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(app, [*words, "--database-url", self.url])

    def ask(self, work: Callable[[AsyncEngine], Awaitable[T]]) -> T:
        async def asked() -> T:
            engine = open_engine(self.url)
            try:
                return await work(engine)
            finally:
                await engine.dispose()

        return asyncio.run(asked())

    def row(self, decision_id: str = "dec_1") -> ContentRow:
        found = self.ask(lambda engine: SqlContentLog(engine).find(decision_id, NOW))
        assert found is not None
        return found

    def audited(self) -> tuple[AuditRecord, ...]:
        return self.ask(lambda engine: AuditLog(engine).entries())

    async def _fill(self) -> None:
        await schema.migrate(self.url)
        engine = open_engine(self.url)
        keys = self.keys
        row = ContentRow(
            decision_id="dec_1",
            at=NOW,
            organisation="acme",
            department="research",
            team="search",
            user="ada",
            asked_model="mini",
            level="full",
            kept_until=NOW + timedelta(days=1),
            error_class="none",
            sealed_question=keys.seal("acme", "dec_1", Part.QUESTION, WORDS),
            sealed_answer=keys.seal("acme", "dec_1", Part.ANSWER, WORDS),
            key_id=keys.key_id("acme"),
        )
        damaged = replace(row, decision_id="dec_2")
        await SqlContentLog(engine).record([row, damaged])
        await SqlLedger(engine).record([usage_row("dec_1", at=NOW, user="ada")])
        await engine.dispose()


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path)


def test_a_new_key_is_one() -> None:
    done = CliRunner().invoke(app, ["content", "keys"])
    assert ContentKeys({"default": done.output}).key_id("acme")


def test_words_are_shown_to_who_has_the_key_and_says_why(database: Database) -> None:
    shown = database.run(
        "content", "show", "dec_1", "--reason", WHY, "--key-file", str(database.key_file)
    )
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout)["question"] == {"said": "Blue Heron"}
    [entry] = database.audited()
    assert (entry.action, entry.subject, entry.proof) == (
        "content.read",
        "content:dec_1",
        "command_line",
    )
    assert entry.after is not None
    assert entry.after["reason"] == WHY


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--reason", WHY], "is not here"),
        (["--reason", "so"], "Say why"),
        (["--reason", WHY, "--key-file", "/nowhere/keys"], "cannot be read"),
    ],
)
def test_without_key_or_reason_nothing_is_shown(
    database: Database, options: list[str], told: str
) -> None:
    refused = database.run("content", "show", "dec_1", *options)
    assert refused.exit_code == 1
    assert told in refused.output
    assert "Heron" not in refused.output


def test_lines_are_listed_without_their_words(database: Database) -> None:
    listed = database.run("content", "list", "--team", "search")
    assert listed.exit_code == 0
    assert "dec_1" in listed.output
    assert "Heron" not in listed.output
    assert "dec_1" not in database.run("content", "list", "--user", "bob").output


def test_after_a_rotation_the_old_key_is_not_needed(database: Database, tmp_path: Path) -> None:
    old, new = database.key_file.read_text(), new_content_key()
    both = tmp_path / "both"
    both.write_text(f"{new}\n{old}\n")
    done = database.run("content", "rotate", "--key-file", str(both))
    # The one that stands in another call's place stays closed, and is told.
    assert done.exit_code == 1
    assert "1 calls' words are sealed" in done.output
    assert "1 calls' words were left" in done.output
    database.key_file.write_text(new)
    row = database.row()
    assert row.sealed_question is not None
    assert database.keys.opened(row.key_id, "acme", "dec_1", Part.QUESTION, row.sealed_question)
    again = database.run("content", "rotate", "--key-file", str(both))
    assert "0 calls' words are sealed" in again.output


def test_a_person_is_counted_erased_and_gone(database: Database) -> None:
    erase = ("privacy", "erase", "ada", "--reason", "request 2026-17 by post")
    counted = database.run(*erase, "--dry-run")
    assert "2 in content_log" in counted.output
    assert database.audited() == ()
    done = database.run(*erase)
    assert done.exit_code == 0, done.output
    assert "erased:" in done.output
    assert database.run(*erase).output.strip().endswith("Nothing is there.")
    assert [entry.action for entry in database.audited()] == ["privacy.erased", "privacy.erase"]
    refused = database.run("privacy", "erase", "ada", "--reason", "because Ada asked")
    assert refused.exit_code == 1


def test_what_is_held_on_a_person_is_printed_as_json(database: Database) -> None:
    done = database.run("privacy", "export", "ada")
    held = json.loads(done.stdout)
    assert (held["user"], len(held["usage"]), len(held["content"])) == ("ada", 1, 2)
    assert "sealed_question" not in held["content"][0]
    assert [entry.action for entry in database.audited()] == ["privacy.export"]
