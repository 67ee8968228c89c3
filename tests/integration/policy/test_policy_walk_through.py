"""What `docs/policy-lifecycle.md` shows works, command by command, beside a running service."""

import asyncio
import os
import re
import shlex
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from policy_service.adapters.policies.stamp import stamped
from policy_service.adapters.policy_bundle import load_bundle
from policy_service.adapters.regopy_policy import RegopyPolicy
from policy_service.adapters.sql.audit import AuditLog
from policy_service.adapters.sql.decision_log import SqlDecisionLog
from policy_service.adapters.sql.engine import open_engine
from policy_service.adapters.sql.policies import SqlPolicies
from policy_service.cli import app
from tests.fakes.running_service import running_service
from tests.fixtures.logged_decisions import QUESTIONS, answered, logged
from tests.fixtures.opa_server import opa_binary
from tests.fixtures.pages import typed
from tests.fixtures.policies import REGO, rename_revision
from tests.fixtures.shown import difference

pytestmark = pytest.mark.integration
PAGE = Path(__file__).parents[3] / "docs" / "policy-lifecycle.md"
WALK = PAGE.read_text("utf-8").split("## By the admin API")[0]
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", WALK, re.DOTALL)
REVISION = "2026-12-01.1"
DECISIONS = 200
SETTLES_WITHIN_S = 60.0


def commands() -> list[str]:
    lines = "".join(block for language, block in BLOCKS if language == "console").splitlines()
    return [line.removeprefix("$ ") for line in lines if not line.startswith("$ export")]


def write_the_rule(folder: Path) -> None:
    """What the page tells to write, in the copy of our policy that it tells to make."""
    for language, block in BLOCKS:
        if language == "rego":
            path, _, source = block.partition("\n")
            file = folder / path.removeprefix("# ")
            file.parent.mkdir(exist_ok=True)
            file.write_text(source, encoding="utf-8")
    main = folder / "rego" / "llm" / "main" / "main.rego"
    text = main.read_text("utf-8")
    text = text.replace("import data.llm.models", "import data.llm.hr\nimport data.llm.models")
    changed = text.replace("_questions := {", "_questions := {\n\thr.deny,")
    assert changed.count("hr") == text.count("hr") + 1
    main.write_text(changed, "utf-8")
    rename_revision(folder / "rego", REVISION)


def of_hr(document: dict[str, Any]) -> dict[str, Any]:
    """The same question by HR, to a deployment outside of the EU."""
    caller = {**document["caller"], "department": "hr"}
    abroad = [{**one, "region": "us-east-1"} for one in document["candidates"]]
    return {**document, "caller": caller, "candidates": abroad}


OF_HR = of_hr(QUESTIONS[0])
"""Allowed without the rule."""


async def log_decisions(url: str) -> int:
    """Yesterday's decisions, every second question by HR; gives how many HR was allowed."""
    live = RegopyPolicy(stamped(load_bundle(REGO)))
    samples = await answered(live, datetime.now(UTC) - timedelta(days=1))
    made = []
    for number, one in enumerate(logged(samples, DECISIONS, teams=4)):
        assert one.input is not None
        made.append(replace(one, input=of_hr(one.input)) if number % 2 else one)
    asked = [await live.evaluate(one.input or {}) for one in made]
    await live.close()
    rows = [
        replace(
            one,
            allow=result.allow,
            codes=tuple(sorted({reason.code for reason in result.reasons})),
            result={**one.result, "allow": result.allow, "permitted": list(result.permitted)},
        )
        for one, result in zip(made, asked, strict=True)
    ]
    engine = open_engine(url)
    await SqlDecisionLog(engine).record(rows)
    await engine.dispose()
    return sum(one.allow and (one.input or {})["caller"]["department"] == "hr" for one in rows)


async def until_counted(url: str) -> None:
    """Wait until the shadow has answered, and what it said is written down."""
    engine = open_engine(url)
    async with asyncio.timeout(SETTLES_WITHIN_S):
        while not (await SqlPolicies(engine).shadow_report()).counts:  # noqa: ASYNC110 - a database
            await asyncio.sleep(0.1)
    await engine.dispose()


async def run(command: str) -> str:
    """What a command of the page says."""
    if command.startswith("gatehouse "):
        # In a thread, since a command runs its own loop.
        done = await asyncio.to_thread(CliRunner().invoke, app, shlex.split(command)[1:])
        assert done.exit_code == 0, f"{command}\n{done.output}"
        return done.output
    words, _, place = command.partition(" > ")
    opa, *options = shlex.split(words)
    assert opa == "opa"
    process = await asyncio.create_subprocess_exec(
        opa_binary(), *options, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, command
    await asyncio.to_thread(Path(place).write_bytes, said)
    return said.decode()


async def test_the_walk_through_can_be_walked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/gatehouse.db"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLICY_DATABASE_URL", url)
    monkeypatch.setenv("POLICY_BUNDLE_KEYS", "keys/policy-signing.pub.pem")
    monkeypatch.setenv("PATH", str(Path(opa_binary()).parent), prepend=os.pathsep)
    init, keys, *others = commands()
    said = {init: await run(init)}
    write_the_rule(tmp_path)
    said |= {keys: await run(keys)}
    async with running_service(
        tmp_path, bundle_keys=tmp_path / "keys" / "policy-signing.pub.pem"
    ) as service:
        policy = service.opened.policy
        would_change = await log_decisions(url)

        async def until(name: str, value: str | None) -> None:
            deadline = time.monotonic() + SETTLES_WITHIN_S
            while (now := policy.detail()[name]) != value and not str(now).startswith(f"{value}+"):
                assert time.monotonic() < deadline, f"{name} does not become {value}"
                await asyncio.sleep(0.05)

        for command in others:
            if command.endswith("shadow show"):
                await until("shadow", REVISION)
                assert (await policy.evaluate(OF_HR)).allow
                await until_counted(url)
            said[command] = await run(command)
            if "activate" in command:
                await until("revision", REVISION)
                result = await policy.evaluate(OF_HR)
                assert [reason.code for reason in result.reasons] == ["hr_outside_eu"]
            if "rollback" in command:
                await until("source", "folder")
    [explained] = [text for command, text in said.items() if "--explain" in command]
    assert "DENIED" in explained
    assert "hr_outside_eu" in explained
    rule = (tmp_path / "rego/llm/hr/hr.rego").read_text("utf-8").splitlines()
    line = 1 + next(at for at, text in enumerate(rule) if text.startswith("deny contains"))
    assert f"llm/hr/hr.rego:{line}" in explained
    assert f"llm/hr/hr.rego:{line}" in WALK
    [replayed] = [text for command, text in said.items() if "replay" in command]
    assert would_change
    assert f"these {would_change} of {DECISIONS} decisions would change" in replayed
    assert "hr_outside_eu" in replayed
    [shown] = [text for command, text in said.items() if command.endswith("shadow show")]
    assert "evaluated 1, differ 1" in shown
    assert "hr_outside_eu" in shown
    for one in typed(PAGE):
        if one.answer:
            assert difference(one.answer, said[one.commands[-1]]) == "", one.commands
    [listed] = [text for command, text in said.items() if command.endswith("policy list")]
    assert "GDPR review of November, ticket 4711" in listed
    engine = open_engine(url)
    trail = [one.action for one in await AuditLog(engine).entries() if "policy" in one.action]
    await engine.dispose()
    assert trail == [
        *("policy.rollback", "policy.activate", "policy.shadow", "policy.shadow"),
        "policy.upload",
    ]
