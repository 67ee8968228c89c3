"""What `docs/policy.md` shows works: its lists, its rule, its test, its commands."""

import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from llm_core.policy.decision import CacheScope, LogLevel, PiiMode
from policy_service.adapters.policy_bundle import PolicyBundle, load_bundle
from policy_service.adapters.policy_lists import faults_of
from policy_service.adapters.regopy_policy import RegopyPolicy
from policy_service.ports.policy import PolicyResult
from tests.fixtures.opa_server import opa_binary
from tests.fixtures.policy_inputs import CALLER, CHEAP, chat_input

pytestmark = pytest.mark.integration

GUIDE = (Path(__file__).parents[3] / "docs" / "policy.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", GUIDE, re.DOTALL)
_ADDED_TO = "# add to "


@pytest.fixture
def repository(rego: Path, tmp_path: Path) -> Path:
    """A copy of the policy with the guide's example in it."""
    shutil.copytree(rego, tmp_path / "rego")
    for language, block in BLOCKS:
        first, _, source = block.partition("\n")
        if language == "rego" and first.startswith(_ADDED_TO):
            file = tmp_path / first.removeprefix(_ADDED_TO)
            file.write_text(file.read_text(encoding="utf-8") + source, encoding="utf-8")
        elif first.startswith("# rego/"):
            file = tmp_path / first.removeprefix("# ")
            file.parent.mkdir(exist_ok=True)
            file.write_text(source, encoding="utf-8")
    main = tmp_path / "rego" / "llm" / "main" / "main.rego"
    source = main.read_text(encoding="utf-8")
    source = source.replace(
        "import data.llm.pricing", "import data.llm.previews\nimport data.llm.pricing"
    )
    main.write_text(source.replace("\tbudgets.deny,\n", "\tbudgets.deny,\n\tpreviews.deny,\n"))
    return tmp_path


def _commands() -> list[str]:
    consoles = "".join(block for language, block in BLOCKS if language == "console")
    lines = consoles.replace("\\\n", " ").splitlines()
    return [line.removeprefix("$ ") for line in lines]


_ELSEWHERE = r"pytest|opa run|gatehouse"
"""Tried by other tests: these very tests, the fixtures, the command line's."""


@pytest.mark.parametrize(
    "command", [command for command in _commands() if not re.match(_ELSEWHERE, command)]
)
def test_a_command_of_the_guide_works(repository: Path, command: str) -> None:
    (repository / "question.json").write_text("{}", encoding="utf-8")
    words = shlex.split(command.partition(" > ")[0])
    assert words[0] == "opa"
    ended = subprocess.run(
        [opa_binary(), *words[1:]], cwd=repository, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr


async def test_the_guides_rule_binds_on_the_embedded_engine_too(repository: Path) -> None:
    policy = RegopyPolicy(load_bundle(repository / "rego"))
    document = chat_input()
    document["candidates"][0]["attributes"] = {"preview": True}
    result = await policy.evaluate(document)
    assert result.permitted == ("cheap", "free")
    assert [reason.code for reason in result.reasons] == ["model_in_preview"]
    await policy.close()


def test_the_table_of_reasons_has_every_code_with_its_rule(rego: Path) -> None:
    given: dict[str, set[str]] = {}
    for rules in rego.glob("llm/*/*.rego"):
        source = rules.read_text(encoding="utf-8")
        for code in re.findall(r"^#   code: (\w+)$", source, re.MULTILINE):
            given.setdefault(code, set()).add(f"llm.{rules.parent.name}")
    table = GUIDE.partition("| Code | Given when | Rule |")[2].partition("\n\n")[0]
    told: dict[str, set[str]] = {}
    for codes, rules_told in re.findall(r"^\| (`.*?) \| .* \| (`.*`) \|$", table, re.MULTILINE):
        for code in re.findall(r"`(\w+)`", codes):
            told[code] = set(re.findall(r"`([\w.]+)`", rules_told))
    assert told.keys() == given.keys()
    assert {code: rules for code, rules in given.items() if not rules <= told[code]} == {}


# --- the recipes

RECIPES = {
    title.strip(): re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    for title, text in re.findall(
        r"^### (.*?)\n(.*?)(?=^##)", GUIDE.partition("## Recipes")[2], re.DOTALL | re.MULTILINE
    )
}


def _laid_over(below: Any, above: Any) -> Any:
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return {
        **below,
        **{key: _laid_over(below.get(key), value) for key, value in above.items()},
    }


async def _decided(bundle: PolicyBundle, recipe: str, **changes: Any) -> PolicyResult:
    """What the policy with a recipe in it says of the usual call, changed."""
    lists = dict(bundle.data["data"])
    for block in RECIPES[recipe]:
        [(name, content)] = yaml.safe_load(block).items()
        lists[name] = _laid_over(lists.get(name), content)
        assert faults_of(name, lists[name]) == ()
    policy = RegopyPolicy(
        PolicyBundle(bundle.modules, {"data": lists}, bundle.revision, digest="recipe")
    )
    caller = replace(CALLER, clearance=changes.pop("clearance", None))
    document = chat_input(caller=caller, candidates=(CHEAP,))
    document["candidates"][0] |= changes.pop("candidate", {})
    document["time"]["local"] = changes.pop("local", document["time"]["local"])
    document["approvals"] = changes.pop("approvals", [])
    document["call"] |= changes
    result = await policy.evaluate(document)
    await policy.close()
    return result


def _codes(result: PolicyResult) -> set[str]:
    return {reason.code for reason in result.reasons}


GRANT = {"id": "apr_1", "model": "chat", "until_unix": 2_000_000_000, "amount_usd": None}
HR = {"data_labels": ["hr"], "clearance": "confidential"}
UNSAID = {"retention_days": None, "trains_on_data": None, "sub_processors": None}
HEALTH = {"data_labels": ["restricted"], "clearance": "restricted"}
CASES: list[tuple[str, dict[str, Any], set[str]]] = [
    ("HR data stays in the EU", HR, set()),
    ("HR data stays in the EU", {**HR, "candidate": {"region": "us"}}, {"region_not_allowed"}),
    ("HR data stays in the EU", {**HR, "clearance": None}, {"clearance_missing"}),
    ("HR data stays in the EU", {"data_labels": ["rh"]}, {"data_label_unknown"}),
    ("Calls without a label count as internal", {}, set()),
    (
        "Personal data needs a DPA, health data a BAA",
        {"data_labels": ["confidential"], "clearance": "restricted", "candidate": {}},
        set(),
    ),
    (
        "Personal data needs a DPA, health data a BAA",
        {**HEALTH, "candidate": {"data_processing": UNSAID}},
        {
            "agreement_missing",
            "retention_too_long",
            "trains_on_data",
            "sub_processor_not_allowed",
        },
    ),
    ("A department calls from the office only", {"networks": ["vpn"]}, set()),
    ("A department calls from the office only", {}, {"network_not_allowed"}),
    ("Trainees in working hours, without tools", {}, set()),
    ("Trainees in working hours, without tools", {"has_tools": True}, {"tools_not_allowed"}),
    (
        "Trainees in working hours, without tools",
        {"local": {"weekday": "friday", "hour": 7, "minute": 29}},
        {"outside_hours"},
    ),
    ("A model for one use case", {"use_case": "claims-triage"}, set()),
    (
        "A model for one use case",
        {"use_case": "gossip"},
        {"model_needs_use_case", "use_case_unknown"},
    ),
    ("A model that needs an approval", {}, {"approval_required"}),
    ("A model that needs an approval", {"approvals": [GRANT]}, set()),
    ("Personal data is redacted for a department", {}, set()),
    ("Answers may be kept", {}, set()),
]


@pytest.mark.parametrize(("recipe", "changes", "codes"), CASES)
async def test_a_recipe_does_what_it_says(
    bundle: PolicyBundle, recipe: str, changes: dict[str, Any], codes: set[str]
) -> None:
    result = await _decided(bundle, recipe, **changes)
    assert _codes(result) == codes
    assert result.allow == (not codes)


def test_every_recipe_is_tried() -> None:
    assert set(RECIPES) == {recipe for recipe, _, _ in CASES}
    assert all(RECIPES.values())


async def test_recipes_oblige_to_what_they_say(bundle: PolicyBundle) -> None:
    redacted = (await _decided(bundle, "Personal data is redacted for a department")).obligations
    assert (redacted.pii.input, redacted.pii.restores) == (PiiMode.REDACT, True)
    assert redacted.log_level is LogLevel.NONE
    kept = (await _decided(bundle, "Answers may be kept")).obligations
    assert (kept.cache_seconds, kept.cache_scope) == (3600, CacheScope.DEPARTMENT)
    short = (await _decided(bundle, "Trainees in working hours, without tools")).obligations
    assert short.max_output_tokens == 1024
    granted = await _decided(bundle, "A model that needs an approval", approvals=[GRANT])
    assert granted.approval == "apr_1"
