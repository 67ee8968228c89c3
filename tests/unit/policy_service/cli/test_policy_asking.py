"""`gatehouse policy eval` with a question from the decision log, and a shadow's differences."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from policy_service.adapters.sql import schema
from policy_service.adapters.sql.decision_log import SqlDecisionLog
from policy_service.adapters.sql.engine import open_engine
from policy_service.cli import app
from policy_service.cli.policy.shadowing import _said
from policy_service.ports.decision_log import LoggedDecision
from tests.fixtures.policy_inputs import chat_input

DECISION = LoggedDecision(
    decision_id="dec_1",
    at=datetime(2026, 11, 20, tzinfo=UTC),
    organisation="acme",
    department="sales",
    team="emea-sales",
    user=None,
    operation="chat.completions",
    asked_model="o1-pro",
    allow=False,
    codes=("model_not_allowed",),
    revision="r1",
    engine="opa",
    duration_ms=0.5,
    input_digest="ab" * 32,
    input=chat_input(asked_model="o1-pro"),
    result={"allow": False, "permitted": [], "reasons": [], "obligations": {}},
)


@pytest.fixture
def database(tmp_path: Path) -> str:
    url = f"sqlite+aiosqlite:///{tmp_path}/gatehouse.db"

    async def seed() -> None:
        await schema.migrate(url)
        engine = open_engine(url)
        erased = replace(DECISION, decision_id="dec_erased", input=None)
        await SqlDecisionLog(engine).record([DECISION, erased])
        await engine.dispose()

    asyncio.run(seed())
    return url


def evaluated(*words: str) -> Result:
    return CliRunner().invoke(app, ["policy", "eval", *words])


def test_what_was_asked_for_a_decision_is_asked_again(database: str) -> None:
    done = evaluated("--decision", "dec_1", "--database-url", database)
    assert done.exit_code == 0, done.output
    assert "model_restricted" in {one["code"] for one in json.loads(done.stdout)["reasons"]}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--decision", "dec_2"), "the decision log has no dec_2"),
        (("--decision", "dec_erased"), "what was asked for dec_erased is erased"),
        ((), "name a question"),
        (("--decision", "dec_1", "--input", "question.json"), "name a question"),
    ],
)
def test_a_question_that_is_not_there_is_said_to_be_so(
    database: str, words: tuple[str, ...], said: str
) -> None:
    done = evaluated(*words, "--database-url", database)
    assert done.exit_code == 1
    assert said in " ".join(done.output.split())


def answer(*, allow: bool = True, **obligations: object) -> Mapping[str, Any]:
    return {"allow": allow, "permitted": ["a"], "codes": ["no"], "obligations": obligations}


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (answer(log="none"), answer(allow=False), "allowed: a"),
        (answer(allow=False), answer(log="none"), "denied: no"),
        (answer(log="none", cap=1), answer(log="full", cap=1), 'allowed: a {"log": "none"}'),
        (answer(cap=None), answer(cap=5), 'allowed: a {"cap": null}'),
        (answer(cap=5), answer(cap=5), "allowed: a"),
    ],
)
def test_a_shadows_answer_tells_what_differs_and_no_more(
    one: Mapping[str, Any], other: Mapping[str, Any], said: str
) -> None:
    assert _said(one, other) == said
