"""Which rule it was, and what would make it allow: true, because it was asked."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from policy_service.adapters.policies.rules import rule_of
from policy_service.adapters.policies.what_if import candidate_changes, smallest_changes
from policy_service.adapters.policy_bundle import PolicyBundle, load_bundle
from policy_service.adapters.regopy_policy import RegopyPolicy
from policy_service.cli import app
from tests.fixtures.opa_server import opa_binary
from tests.fixtures.policies import REGO, add_denial, policy_folder
from tests.fixtures.policy_inputs import CALLER, UNPRICED, chat_input

RESTRICTED = chat_input(
    asked_model="o1-pro", caller=replace(CALLER, allowed_models=("chat", "o1-pro"))
)


@pytest.fixture(scope="module")
def bundle() -> PolicyBundle:
    return load_bundle(REGO)


@pytest.fixture
async def engine(bundle: PolicyBundle) -> AsyncIterator[RegopyPolicy]:
    made = RegopyPolicy(bundle)
    yield made
    await made.close()


def test_every_reason_of_our_policy_is_found_at_the_line_of_its_rule(bundle: PolicyBundle) -> None:
    codes = [
        (path, line.split()[-1])
        for path, text in bundle.modules.items()
        for line in text.splitlines()
        if line.startswith("#   code: ")
    ]
    assert codes
    for path, code in codes:
        text = bundle.modules[path]
        [package] = [line[8:] for line in text.splitlines() if line.startswith("package ")]
        place = rule_of(bundle.modules, package, code)
        assert place is not None
        assert place.file == path
        assert place.title
        line = text.splitlines()[place.line - 1]
        assert line.startswith(("deny ", "default ")), (path, place.line, line)


def test_a_rule_that_is_not_there_is_not_found(bundle: PolicyBundle) -> None:
    assert rule_of(bundle.modules, "llm.models", "no_such_code") is None
    assert rule_of(bundle.modules, "llm.nowhere", "model_restricted") is None


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (RESTRICTED, "with the role llm-power-user"),
        (RESTRICTED, "with the department research"),
        (RESTRICTED, "ask for the model chat"),
        (chat_input(asked_model="mine"), "with mine in the caller's own list of models"),
        (chat_input(candidates=(UNPRICED,)), "with a known price of unpriced"),
        (
            chat_input(asked_model="o1-pro", caller=replace(CALLER, allowed_models=())),
            "with the role llm-power-user and with o1-pro in the caller's own list of models",
        ),
    ],
)
async def test_what_would_make_it_allow_is_named_and_does(
    engine: RegopyPolicy, bundle: PolicyBundle, document: dict[str, Any], said: str
) -> None:
    assert not (await engine.evaluate(document)).allow
    found = await smallest_changes(engine.evaluate, document, bundle.data)
    parts = {frozenset(one.said for one in change) for change in found}
    assert frozenset(said.split(" and ")) in parts
    for change in found:
        changed = document
        for one in change:
            changed = one.made_in(changed)
        assert (await engine.evaluate(changed)).allow


def test_trying_changes_nothing_in_the_question() -> None:
    before = json.dumps(RESTRICTED)
    changes = list(candidate_changes(RESTRICTED, {}))
    assert changes
    for one in changes:
        one.made_in(RESTRICTED)
    assert json.dumps(RESTRICTED) == before


@pytest.mark.parametrize("document", [{}, {"caller": None}, {"candidates": [{}], "call": []}])
async def test_a_question_that_is_hardly_one_is_explained_too(
    engine: RegopyPolicy, bundle: PolicyBundle, document: dict[str, Any]
) -> None:
    assert await smallest_changes(engine.evaluate, document, bundle.data) == ()


@pytest.mark.parametrize("engine_name", ["regopy", "opa"])
def test_the_command_names_rule_line_and_fix(tmp_path: Path, engine_name: str) -> None:
    if engine_name == "opa":
        opa_binary()
    question = tmp_path / "question.json"
    question.write_text(json.dumps(RESTRICTED), encoding="utf-8")
    options = ["--input", str(question), "--bundle", str(REGO), "--engine", engine_name]
    done = CliRunner().invoke(app, ["policy", "eval", *options, "--explain"])
    assert done.exit_code == 0, done.output
    assert f"on {engine_name}" in done.stdout
    assert "model_restricted" in done.stdout
    assert "llm/models/models.rego:" in done.stdout
    assert "with the role llm-power-user" in done.stdout
    plain = CliRunner().invoke(app, ["policy", "eval", *options])
    assert json.loads(plain.stdout)["reasons"][0]["code"] == "model_restricted"


def test_the_published_schema_is_the_one_that_rules_are_checked_with() -> None:
    done = CliRunner().invoke(app, ["policy", "schema"])
    assert json.loads(done.stdout) == json.loads((REGO / "schemas/input.json").read_bytes())


def test_a_failing_test_fails_the_command_and_is_named(tmp_path: Path) -> None:
    opa_binary()
    good = CliRunner().invoke(app, ["policy", "test", str(REGO)])
    assert good.exit_code == 0, good.output
    folder = policy_folder(tmp_path / "rego")
    add_denial(folder, 'input.call.asked_model == "chat"', "chat_barred")
    bad = CliRunner().invoke(app, ["policy", "test", str(folder)])
    assert bad.exit_code == 1
    assert "llm.models_test.test_a_model_in_the_callers_list_is_not_denied" in bad.output
    assert "models_test.rego:" in bad.output


def test_without_opa_the_command_says_loudly_what_was_not_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    done = CliRunner().invoke(app, ["policy", "test", str(REGO)])
    assert "NOT RUN on OPA" in done.output
    assert "left out" in done.output


def test_a_key_is_for_nobody_else_and_never_written_over(tmp_path: Path) -> None:
    place = ["policy", "keys", "--out", str(tmp_path)]
    assert CliRunner().invoke(app, place).exit_code == 0
    private = tmp_path / "policy-signing.key"
    before = private.read_bytes()
    assert private.stat().st_mode & 0o777 == 0o600
    again = CliRunner().invoke(app, place)
    assert again.exit_code == 1
    assert private.read_bytes() == before
