"""What `docs/audit.md` shows works: its commands one after another, and its program."""

import asyncio
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from policy_service.adapters.sql import schema
from policy_service.adapters.sql.audit_chain import SqlAuditChain
from policy_service.adapters.sql.engine import open_engine
from policy_service.cli import app
from policy_service.ports.audit import Noted
from tests.fakes.audit_chains import STARTED, new_event

GUIDE = (Path(__file__).parents[3] / "docs" / "audit.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", GUIDE, re.DOTALL)
COMMANDS = [
    line.removeprefix("$ ")
    for language, block in BLOCKS
    if language == "console"
    for line in block.splitlines()
]
PAYLOADS = [{"allow": True, "é": 1.5}, {"allow": False, "user": "sam"}, {"codes": ["x", None]}]


async def _fill() -> None:
    url = "sqlite+aiosqlite:///gatehouse.db"
    await schema.migrate(url)
    engine = open_engine(url)
    await SqlAuditChain(engine, lambda: STARTED).append(
        [Noted(new_event(n, payload=one)) for n, one in enumerate(PAYLOADS, start=1)]
    )
    await engine.dispose()


def test_the_guides_commands_and_its_program_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLICY_DATABASE_URL", "sqlite+aiosqlite:///gatehouse.db")
    asyncio.run(_fill())
    outputs = {}
    for command in COMMANDS:
        words, _, file = command.partition(" > ")
        program, *arguments = shlex.split(words)
        assert program == "gatehouse"
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, (command, done.output)
        if file:
            Path(file).write_text(done.output, encoding="utf-8")
        outputs[arguments[1]] = done.output
        if arguments[:2] == ["audit", "verify"] and "audit.jsonl" in arguments:
            assert done.output in "".join(text for kind, text in BLOCKS if kind == "text")
    assert len(COMMANDS) >= 8
    assert outputs["erase"] == "1 events erased.\n"
    [program] = [block for language, block in BLOCKS if language == "python"]
    _run(program, "audit.jsonl")
    CliRunner().invoke(app, ["audit", "export", "-o", "after.jsonl"])
    _run(program, "after.jsonl")
    tampered = Path("after.jsonl").read_text("utf-8").replace('"allow":true', '"allow":false')
    Path("tampered.jsonl").write_text(tampered, encoding="utf-8")
    with pytest.raises(subprocess.CalledProcessError):
        _run(program, "tampered.jsonl")


def _run(program: str, file: str) -> None:
    subprocess.run([sys.executable, "-c", program, file], check=True, capture_output=True)
