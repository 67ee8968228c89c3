"""The rules themselves: tests, coverage, format, types, and their annotations."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from policy_service.adapters.policy_bundle import load_bundle
from tests.fixtures.opa_server import opa_binary

pytestmark = pytest.mark.integration


def _opa(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [opa_binary(), *map(str, arguments)], capture_output=True, text=True, check=False
    )


def _json(*arguments: str | Path) -> Any:
    asked = _opa(*arguments)
    assert asked.returncode == 0, asked.stderr
    return json.loads(asked.stdout)


@pytest.fixture(scope="module")
def annotations(rego: Path) -> list[tuple[str, dict[str, Any]]]:
    """Every METADATA block, by the path it stands at; tests left out."""
    found = _json("inspect", "--annotations", "--format", "json", rego)["annotations"]
    blocks = [
        (".".join(part["value"] for part in block["path"][1:]), block["annotations"])
        for block in found
    ]
    return [(path, block) for path, block in blocks if "_test" not in path]


def test_the_rules_tests_pass_and_reach_every_line(rego: Path) -> None:
    tested = _opa("test", "--coverage", "--threshold", "100", rego)
    assert tested.returncode == 0, tested.stdout[-2000:] + tested.stderr


def test_the_rules_are_formatted(rego: Path) -> None:
    formatted = _opa("fmt", "--diff", rego)
    assert (formatted.returncode, formatted.stdout) == (0, "")


def test_the_rules_keep_to_the_inputs_schema(rego: Path) -> None:
    checked = _opa("check", "--strict", "--schema", rego / "schemas", rego)
    assert checked.returncode == 0, checked.stderr


def test_a_rule_that_misspells_an_input_does_not_type_check(rego: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.rego"
    wrong.write_text(
        "# METADATA\n# scope: package\n# schemas:\n#   - input: schema.input\n"
        "package llm.wrong\n\nx if input.caller.taem\n",
        encoding="utf-8",
    )
    checked = _opa("check", "--strict", "--schema", rego / "schemas", wrong)
    assert checked.returncode != 0
    assert "taem" in checked.stderr


def test_the_tests_examples_are_inputs_that_the_service_could_build(rego: Path) -> None:
    schema = json.loads((rego / "schemas" / "input.json").read_text(encoding="utf-8"))
    for example in ("chat", "listing"):
        query = f"data.llm.examples_test.{example}"
        document = _json("eval", "--data", rego, "--format", "json", query)
        Draft7Validator(schema).validate(document["result"][0]["expressions"][0]["value"])


def test_every_rule_file_has_a_test_file_with_an_empty_input(rego: Path) -> None:
    for rules in rego.glob("llm/*/*.rego"):
        if rules.stem.endswith("_test"):
            continue
        tests = rules.with_name(f"{rules.stem}_test.rego")
        assert tests.is_file(), f"{rules} has no test"
        if "input." in rules.read_text(encoding="utf-8"):
            assert "test_empty_input" in tests.read_text(encoding="utf-8"), tests


NOT_SHARED = {
    r"\b(max|min)\(": "regopy orders numbers by their spelling",
    r"\brego\.metadata\b": "comes back empty in regopy",
    r"^[^#]*\bwith (input|data)\b": "regopy can end its process over it",
    r"\btime\.parse": "not in regopy",
    r"\bnot \w+(\.\w+)*\([^)]*\binput\.": "OPA takes the argument out of the negation",
    r"\bnot input\.\S+ in\b": "OPA takes the operand out of the negation",
    r"\bnot .* in input\.": "OPA takes the operand out of the negation",
}


def test_the_rules_keep_to_what_both_engines_share(rego: Path) -> None:
    for path, source in load_bundle(rego).modules.items():
        for pattern, reason in NOT_SHARED.items():
            code = re.sub(r"^\s*#.*$", "", source, flags=re.MULTILINE)
            assert not re.search(pattern, code, re.MULTILINE), f"{path}: {reason}"


def test_every_package_and_public_rule_is_annotated(
    rego: Path, annotations: list[tuple[str, dict[str, Any]]]
) -> None:
    annotated = {path for path, _ in annotations}
    for path, source in load_bundle(rego).modules.items():
        package = ".".join(path.split("/")[:-1])
        assert package in annotated, path
        for rule in re.findall(r"^(?:default )?([a-z]\w*)(?: contains| :=| if|\()", source, re.M):
            assert f"{package}.{rule}" in annotated, f"{package}.{rule} has no METADATA"


def test_every_annotation_is_complete(annotations: list[tuple[str, dict[str, Any]]]) -> None:
    for path, block in annotations:
        assert block["title"], path
        assert block["description"], path
        if block["scope"] == "package":
            assert block["schemas"], path
        if path.endswith(".deny"):
            assert set(block["custom"]) == {"code", "solution"}, path


def test_a_denial_says_what_its_annotation_says(
    rego: Path, annotations: list[tuple[str, dict[str, Any]]]
) -> None:
    """rego.metadata.chain() is empty on regopy, so the words stand twice; this holds them equal."""
    for path, block in annotations:
        if not path.endswith(".deny"):
            continue
        package = path.removesuffix(".deny")
        folder = rego.joinpath(*package.split("."))
        source = (folder / f"{folder.name}.rego").read_text(encoding="utf-8")
        said = re.compile(
            rf'"{re.escape(block["custom"]["code"])}",\s+"{re.escape(package)}",\s+"[^"]+",\s+'
            rf'"{re.escape(block["custom"]["solution"])}",'
        )
        assert len(said.findall(source)) == 1, f"{path}: {block['custom']['code']}"


def test_every_reason_code_has_one_meaning(
    annotations: list[tuple[str, dict[str, Any]]],
) -> None:
    codes = [block["custom"]["code"] for path, block in annotations if "custom" in block]
    assert sorted(codes) == sorted(set(codes))
