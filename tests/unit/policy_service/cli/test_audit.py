"""`gatehouse audit` as an auditor and an operator use it, on a database file of its own."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import Result
from sqlalchemy import text
from typer.testing import CliRunner

from policy_service.adapters.sql import schema
from policy_service.adapters.sql.audit_chain import SqlAuditChain
from policy_service.adapters.sql.engine import open_engine, writing
from policy_service.adapters.sql.organisation import Organisation
from policy_service.cli import app
from policy_service.ports.audit import Noted
from tests.fakes.audit_chains import STARTED, new_event


@pytest.fixture
def url(tmp_path: Path) -> str:
    made = f"sqlite+aiosqlite:///{tmp_path}/gatehouse.db"

    async def seed() -> None:
        await schema.migrate(made)
        engine = open_engine(made)
        await SqlAuditChain(engine, lambda: STARTED).append(
            [Noted(new_event(number)) for number in range(1, 21)]
        )
        await Organisation(engine).put_organisation("globex")  # waits in the outbox
        await engine.dispose()

    asyncio.run(seed())
    return made


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    assert run("keys", "-d", str(tmp_path)).exit_code == 0
    return tmp_path


def run(*words: str, **more: str) -> Result:
    return CliRunner().invoke(app, ["audit", *words], **more)


def exported(url: str, file: Path, *words: str) -> list[str]:
    done = run("export", "-o", str(file), "--database-url", url, *words)
    assert done.exit_code == 0, done.output
    return file.read_text("utf-8").splitlines()


def sealed(url: str, keys: Path) -> str:
    done = run("checkpoint", "--key-file", str(keys / "audit-key.pem"), "--database-url", url)
    assert done.exit_code == 0, done.output
    return done.output


def verify(file: Path, keys: Path, *words: str) -> Result:
    return run("verify", str(file), "--public-key", str(keys / "audit-key.pub.pem"), *words)


def test_from_keys_to_a_verified_export(url: str, keys: Path, tmp_path: Path) -> None:
    assert (keys / "audit-key.pem").stat().st_mode & 0o777 == 0o600
    assert len(sealed(url, keys).splitlines()) == 2
    lines = exported(url, tmp_path / "audit.jsonl")
    assert json.loads(lines[0])["chains"] == {
        "org:acme": {"first": 1, "last": 20},
        "org:globex": {"first": 1, "last": 1},
    }
    done = verify(tmp_path / "audit.jsonl", keys)
    assert done.exit_code == 0, done.output
    assert "org:acme: 20 events, 1 to 20, sealed up to 20" in done.output
    assert "Verified: nothing is wrong." in done.output
    assert not (tmp_path / "audit.jsonl.part").exists()


def test_what_is_wrong_is_said_with_its_place_and_its_meaning(
    url: str, keys: Path, tmp_path: Path
) -> None:
    sealed(url, keys)
    file = tmp_path / "audit.jsonl"
    lines = exported(url, file)
    [at] = [n for n, line in enumerate(lines) if '"seq":7,' in line and "evt" in line]
    file.write_text("\n".join([*lines[:at], lines[at].replace("u7", "u8"), *lines[at + 1 :]]))
    done = verify(file, keys)
    assert done.exit_code == 1
    assert "org:acme 7: edited: The event is not what was written" in done.output
    file.write_text("\n".join([*lines[:at], *lines[at + 1 :]]))
    assert "org:acme 7: deleted: Events that were there are missing." in verify(file, keys).output
    file.write_text("\n".join(lines[:at]))
    done = verify(file, keys)
    assert "org:acme 7 to 20: truncated" in done.output
    assert done.exit_code == 1


def test_a_checkpoint_that_was_kept_shows_a_chain_cut_short(
    url: str, keys: Path, tmp_path: Path
) -> None:
    early = exported(url, tmp_path / "early.jsonl")
    kept = sealed(url, keys)
    acme = next(line for line in kept.splitlines() if "org:acme" in line)
    (tmp_path / "kept").write_text(kept)
    cut = [line for line in early if '"seq":20,' not in line]
    cut[0] = cut[0].replace('"last":20', '"last":19')
    (tmp_path / "cut.jsonl").write_text("\n".join(cut))
    for given in (acme, str(tmp_path / "kept")):
        done = verify(tmp_path / "cut.jsonl", keys, "--checkpoint", given)
        assert done.exit_code == 1
        assert "org:acme 20: truncated" in done.output
    whole = verify(tmp_path / "early.jsonl", keys, "--checkpoint", str(tmp_path / "kept"))
    assert whole.exit_code == 0, whole.output


def test_a_database_is_verified_where_it_is(url: str, keys: Path) -> None:
    sealed(url, keys)
    public = str(keys / "audit-key.pub.pem")
    done = run("verify", "--database-url", url, "-k", public)
    assert done.exit_code == 0, done.output

    async def tamper() -> None:
        engine = open_engine(url)
        async with writing(engine) as connection:
            await connection.execute(text("DELETE FROM audit_chain WHERE seq = 5"))
        await engine.dispose()

    asyncio.run(tamper())
    done = run("verify", "--database-url", url, "-k", public)
    assert done.exit_code == 1
    assert "org:acme 5: deleted" in done.output


def test_what_cannot_be_verified_exits_with_2(url: str, keys: Path, tmp_path: Path) -> None:
    public = ["--public-key", str(keys / "audit-key.pub.pem")]
    exported(url, tmp_path / "a.jsonl")
    for words in (
        [],
        [str(tmp_path / "a.jsonl"), "--database-url", url],
        [str(tmp_path / "missing.jsonl"), *public],
        [str(tmp_path / "a.jsonl"), "--public-key", str(tmp_path / "missing.pem")],
        [str(tmp_path / "a.jsonl"), "--public-key", str(tmp_path / "a.jsonl")],
        [str(tmp_path / "a.jsonl"), *public, "--checkpoint", str(tmp_path / "missing")],
        [str(tmp_path / "a.jsonl"), *public, "--checkpoint", "{}"],
        ["--database-url", "mysql://host/name"],
    ):
        done = run("verify", *words)
        assert done.exit_code == 2, (words, done.output)


def test_without_a_key_a_file_is_held_against_itself_and_that_is_said(
    url: str, tmp_path: Path
) -> None:
    exported(url, tmp_path / "a.jsonl")
    done = run("verify", str(tmp_path / "a.jsonl"))
    assert done.exit_code == 0
    assert "Without --public-key" in done.output
    assert "not sealed" in done.output


def test_a_chain_without_a_seal_is_no_proof(url: str, keys: Path, tmp_path: Path) -> None:
    exported(url, tmp_path / "a.jsonl")
    done = verify(tmp_path / "a.jsonl", keys)
    assert done.exit_code == 1
    assert "unsealed" in done.output


def test_events_are_listed_and_shown(url: str) -> None:
    done = run("list", "--chain", "org:acme", "--actor", "user:u3", "--database-url", url)
    assert "decision:dec_3" in done.output
    assert "decision:dec_4" not in done.output
    shown = run("show", "org:acme", "3", "--database-url", url)
    assert json.loads(shown.output)["payload"] == {"allow": False, "number": 3}
    assert run("show", "org:acme", "99", "--database-url", url).exit_code == 1
    assert "dec_3" not in run("list", "--since", "1d", "--database-url", url).output
    assert run("list", "--since", "yesterday", "--database-url", url).exit_code == 2


def test_an_erased_user_is_gone_and_the_export_verifies(
    url: str, keys: Path, tmp_path: Path
) -> None:
    done = run("erase", "u3", "--reason", "asked for", "--database-url", url)
    assert done.output.strip() == "1 events erased."
    sealed(url, keys)
    assert "user:u3" not in "\n".join(exported(url, tmp_path / "a.jsonl"))
    done = verify(tmp_path / "a.jsonl", keys)
    assert done.exit_code == 0, done.output
    assert "1 erased" in done.output
    assert "(erased)" in run("list", "--database-url", url).output


def test_keys_are_not_written_over(keys: Path) -> None:
    done = run("keys", "-d", str(keys))
    assert done.exit_code == 1
    assert "is there already" in done.output
    assert run("keys", "-d", str(keys / "missing")).exit_code == 1


def test_without_a_key_checkpoints_are_only_shown(url: str, keys: Path) -> None:
    assert run("checkpoint", "--database-url", url).exit_code == 1
    made = sealed(url, keys)
    assert run("checkpoint", "--database-url", url).output == made
    broken = run("checkpoint", "--key-file", str(keys / "audit-key.pub.pem"), "--database-url", url)
    assert broken.exit_code == 1
    assert "no unencrypted private key" in broken.output
