"""Replay: a seeded change is found exactly, by team and reason, and nothing else is."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from policy_service.adapters.policies.replay import MOST_EXAMPLES, Replayed, replay
from policy_service.adapters.policies.stamp import stamped
from policy_service.adapters.policy_bundle import PolicyBundle, load_bundle
from policy_service.adapters.regopy_policy import RegopyPolicy
from policy_service.adapters.sql.decision_log import SqlDecisionLog
from policy_service.adapters.sql.engine import open_engine
from policy_service.adapters.sql.schema import upgrade
from policy_service.cli import app
from policy_service.ports.decision_log import LoggedDecision
from tests.fixtures.logged_decisions import QUESTIONS, answered, logged
from tests.fixtures.opa_server import opa_binary
from tests.fixtures.policies import BARRED, add_denial, policy_folder
from tests.fixtures.policy_inputs import listing_input

pytestmark = pytest.mark.integration
START = datetime(2026, 11, 20, tzinfo=UTC)
DECISIONS, TEAMS = 3000, 10
OF_BARRED_IN_ONE_TEAM = DECISIONS // len(QUESTIONS) // TEAMS


@pytest.fixture
async def samples() -> list[LoggedDecision]:
    engine = RegopyPolicy(stamped(load_bundle(Path(__file__).parents[3] / "rego")))
    try:
        return await answered(engine, START)
    finally:
        await engine.close()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'gatehouse.db'}"


@pytest.fixture
async def log(url: str) -> AsyncIterator[SqlDecisionLog]:
    engine: AsyncEngine = open_engine(url)
    await upgrade(engine)
    yield SqlDecisionLog(engine)
    await engine.dispose()


@pytest.fixture(params=["opa", "regopy"])
def opa_or_not(request: pytest.FixtureRequest) -> str | None:
    """Each engine that can replay."""
    return opa_binary() if request.param == "opa" else None


async def replayed(bundle: PolicyBundle, log: SqlDecisionLog, opa: str | None) -> Replayed:
    pages = log.read(START, START + timedelta(days=1), batch=200)
    return await replay(bundle, pages, at_once=2, opa=opa)


def changed(tmp_path: Path, *, obligations: bool = False) -> Path:
    """Our policy, and a model is barred for one team."""
    folder = policy_folder(tmp_path / "changed")
    condition = f'input.call.asked_model == "{BARRED}"\n\tinput.caller.team == "team-3"'
    add_denial(folder, condition)
    for lists in folder.rglob("*.yaml") if obligations else ():
        text = lists.read_text("utf-8")
        capped = re.sub(r"(max_output_tokens:\s+(?:default: )?)null", r"\g<1>64", text)
        lists.write_text(capped, encoding="utf-8")
    return folder


async def test_the_same_policy_changes_nothing(
    bundle: PolicyBundle, log: SqlDecisionLog, samples: list[LoggedDecision], opa_or_not: str | None
) -> None:
    await log.record(list(logged(samples, 500, teams=TEAMS)))
    found = await replayed(stamped(bundle), log, opa_or_not)
    assert (found.decisions, found.changed, found.obligations, found.reasons) == (500, 0, 0, 0)


async def test_a_seeded_change_is_found_exactly(
    tmp_path: Path, log: SqlDecisionLog, samples: list[LoggedDecision], opa_or_not: str | None
) -> None:
    await log.record(list(logged(samples, DECISIONS, teams=TEAMS)))
    found = await replayed(load_bundle(changed(tmp_path)), log, opa_or_not)
    assert found.decisions == DECISIONS
    assert found.changed == OF_BARRED_IN_ONE_TEAM
    assert found.by_team == {("team-3", "denied"): OF_BARRED_IN_ONE_TEAM}
    assert found.by_reason == {("model_barred", "denied"): OF_BARRED_IN_ONE_TEAM}
    assert (found.obligations, found.reasons, found.erased, found.failed) == (0, 0, 0, 0)
    assert len(found.examples) == MOST_EXAMPLES
    assert {(one.decision.team, one.decision.asked_model) for one in found.examples} == {
        ("team-3", BARRED)
    }
    times = [one.decision.at for one in found.examples]
    assert times == sorted(times)


async def test_obligations_are_counted_apart(
    tmp_path: Path, log: SqlDecisionLog, samples: list[LoggedDecision], opa_or_not: str | None
) -> None:
    await log.record(list(logged(samples, 500, teams=TEAMS)))
    allowed = sum(one.allow for one in logged(samples, 500, teams=TEAMS))
    found = await replayed(load_bundle(changed(tmp_path, obligations=True)), log, opa_or_not)
    assert found.changed == 500 // len(QUESTIONS) // TEAMS
    assert found.obligations == allowed - found.changed
    assert found.other_examples


async def test_what_was_erased_never_asked_or_cannot_be_answered_is_counted_apart(
    bundle: PolicyBundle, log: SqlDecisionLog, samples: list[LoggedDecision], opa_or_not: str | None
) -> None:
    rows = list(logged(samples, 100, teams=TEAMS))
    rows[3] = replace(rows[3], input=None)
    rows[4] = replace(rows[4], input=None, revision="")
    rows[5] = replace(rows[5], input={"half a pair": "\ud800"})
    listing = listing_input("chat", "o1-pro")
    rows[6] = replace(
        rows[6],
        operation="models",
        allow=True,
        codes=(),
        input=listing,
        result={**rows[0].result, "permitted": []},
    )
    await log.record(rows)
    found = await replayed(stamped(bundle), log, opa_or_not)
    assert (found.decisions, found.erased, found.not_asked, found.failed) == (100, 1, 1, 1)
    assert found.changed == 0


async def test_the_command_tells_it_in_words_as_json_and_by_its_exit_code(
    tmp_path: Path, url: str, log: SqlDecisionLog, samples: list[LoggedDecision]
) -> None:
    await log.record(list(logged(samples, 1000, teams=TEAMS)))
    folder = str(changed(tmp_path))
    span = ["--since", "2026-11-20", "--until", "2026-11-21", "--database-url", url]

    def run(*more: str) -> tuple[int, str]:
        # In a thread of its own: a command runs its own loop.
        done = CliRunner().invoke(app, ["policy", "replay", folder, *span, *more])
        return done.exit_code, done.stdout

    code, said = await asyncio.to_thread(run)
    assert code == 0
    assert "these 20 of 1,000 decisions would change" in said
    assert "model_barred" in said
    code, said = await asyncio.to_thread(run, "--json", "--exit-code")
    assert code == 3
    told = json.loads(said)
    assert told["by_team"] == [{"team": "team-3", "kind": "denied", "decisions": 20}]
    assert told["examples"][0]["after"]["codes"] == ["model_barred"]
    code, said = await asyncio.to_thread(run, "--team", "team-4", "--exit-code")
    assert code == 0
    assert "these 0 of 100 decisions would change" in said
