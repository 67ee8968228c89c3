"""`gatehouse keys` as an operator uses it, on a database file of its own."""

import asyncio
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from policy_service.adapters.sql import schema
from policy_service.adapters.sql.engine import open_engine
from policy_service.adapters.sql.organisation import Organisation
from policy_service.cli import app
from policy_service.keys import new_key


@pytest.fixture
def url(tmp_path: Path) -> str:
    made = f"sqlite+aiosqlite:///{tmp_path}/gatehouse.db"

    async def seed() -> None:
        await schema.migrate(made)
        engine = open_engine(made)
        organisation = Organisation(engine)
        await organisation.put_organisation("acme")
        await organisation.put_department("research", organisation="acme")
        await organisation.put_team("search", department="research")
        await engine.dispose()

    asyncio.run(seed())
    return made


def run(url: str, *words: str, said: str = "") -> Result:
    return CliRunner().invoke(app, ["keys", *words, "--database-url", url], input=said)


def issued(url: str, *words: str) -> str:
    done = run(url, "issue", "--team", "search", "--name", "laptop", *words)
    assert done.exit_code == 0, done.output
    return done.output.strip()


def id_of(url: str, text: str) -> str:
    return run(url, "check", said=text).output.split(": ")[1].split(",")[0]


def test_a_keys_life_from_issue_to_its_end(url: str) -> None:
    options = ["--operation", "models", "--network", "10.0.0.0/8", "--priority", "batch"]
    old = issued(url, *options, "--expires", "90d")
    live = run(url, "check", said=old)
    assert (live.exit_code, live.output.startswith("live: key_")) == (0, True)
    shown = run(url, "show", id_of(url, old)).output
    assert "networks: 10.0.0.0/8" in shown
    assert "priority: batch" in shown
    assert "created_by: command_line:" in shown
    key_id = id_of(url, old)
    new = run(url, "rotate", key_id, "--overlap", "1h").output.strip()
    assert run(url, "check", said=old).output.startswith(f"live: {key_id}, laptop, good until")
    assert all(one[:6] in run(url, "list").output for one in (old, new))
    former, new = new, run(url, "rotate", key_id, "--overlap", "0m").stdout.strip()
    assert run(url, "check", said=old).output.startswith("unknown: ")
    assert run(url, "check", said=former).output.startswith("expired: ")
    assert (run(url, "check", said=new).exit_code, id_of(url, new)) == (0, key_id)
    assert "is revoked" in run(url, "revoke", id_of(url, new)).output
    gone = run(url, "check", said=new)
    assert (gone.exit_code, gone.output.startswith("revoked: ")) == (1, True)
    listed = run(url, "list").output
    assert new[:6] in listed
    assert all(text not in listed + shown + gone.output for text in (old, new))


@pytest.mark.parametrize(
    ("said", "word"),
    [
        pytest.param(new_key(), "unknown", id="never issued"),
        ("gk-typo", "mistyped"),
        ("sk-other", "unknown"),
    ],
)
def test_check_tells_a_typo_from_an_unknown_key_and_prints_neither(
    url: str, said: str, word: str
) -> None:
    done = run(url, "check", said=said)
    assert done.exit_code == 1
    assert done.output.startswith(f"{word}: ")
    assert said not in done.output


@pytest.mark.parametrize(
    "words",
    [
        ["issue", "--team", "nobody", "--name", "x"],
        ["issue", "--team", "search", "--name", "x", "--network", "10.0.0.1/8"],
        ["rotate", "key_nobody"],
        ["rotate", "key_nobody", "--overlap", "91d"],
        ["revoke", "key_nobody"],
        ["show", "key_nobody"],
        ["check"],
    ],
)
def test_what_cannot_be_ends_with_a_sentence(url: str, words: list[str]) -> None:
    done = run(url, *words)
    assert done.exit_code == 1
    assert "error:" in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    "words",
    [
        ["issue", "--team", "search", "--name", "x", "--expires", "soon"],
        ["rotate", "key_nobody", "--overlap", "long"],
        ["rotate", "key_nobody", "--if-match", '"1"'],
        ["revoke", "key_nobody", "--if-match", '"1"'],
    ],
)
def test_what_no_command_can_be_made_of_ends_with_two(url: str, words: list[str]) -> None:
    done = run(url, *words)
    assert (done.exit_code, "error:" in done.output) == (2, True), done.output


def test_a_redis_that_is_away_stops_no_revocation(url: str) -> None:
    key_id = id_of(url, issued(url))
    done = run(url, "revoke", key_id, "--redis-url", "redis://127.0.0.1:1/0")
    assert done.exit_code == 0
    assert f"{key_id} is revoked." in done.output
