"""Runs a policy's own tests on both engines.

OPA runs them all. rego-cpp 1.5 ends its process over many a `with`, and evaluates others wrongly
(`rego/README.md`): a test built on `with` that does not come out true there proves nothing, and is
named as left out. What it makes of a policy without `with`, which is how decisions are asked for,
`gatehouse policy replay` and the tests of both engines show.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from policy_service.adapters.policies.bundle_folder import write_bundle
from policy_service.adapters.policy_bundle import PolicyBundle
from policy_service.adapters.regopy_text import rego_term

_TIMEOUT_S = 300.0
_WORKER = Path(__file__).with_name("regopy_tests.py")
_PACKAGE = re.compile(r"^package ([\w.]+)", re.MULTILINE)
_RULE = re.compile(r"^(?:default )?(\w+)", re.MULTILINE)
_ENDS_IT = re.compile(r"\bwith\b[^\n]*\bas\b[^\n]*\n?\s*\bwith\b")
"""Two `with` in one expression end rego-cpp's process."""
_WITH = re.compile(r"\bwith (input|data|\w+\.)")
_SHOWN_CHARS = 2000


@dataclass(frozen=True, slots=True)
class TestRun:
    """What an engine made of a policy's tests.

    Args:
        engine: `opa` or `regopy`.
        passed: How many.
        failed: Names, `<package>.<test>`, with file and line where the engine tells them.
        left_out: Names of those that the engine cannot run.
        fault: Why the tests could not be run at all; empty when they were.
    """

    engine: str
    passed: int = 0
    failed: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    fault: str = ""

    @property
    def is_good(self) -> bool:
        """Whether nothing that was run failed."""
        return not self.failed and not self.fault


def opa_program() -> str | None:
    """Where OPA's own program is, if it is installed."""
    return shutil.which("opa")


def run_on_opa(opa: str, bundle: PolicyBundle, tests: Mapping[str, str]) -> TestRun:
    """Run the tests as `opa test` does. Blocks for about a second."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_bundle(replace(bundle, modules={**bundle.modules, **tests}), folder)
        command = [opa, "test", "--format", "json", "."]
        done = _ran(command, "", cwd=folder)
    if done is None:
        return TestRun("opa", fault="the tests do not come to an end")
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout or "[]") or []
    except ValueError:
        found = []
    if done.returncode != 0 and not found:
        return TestRun("opa", fault=(done.stderr or done.stdout).strip()[:_SHOWN_CHARS])
    bad = [one for one in found if one.get("fail") or one.get("error")]
    return TestRun("opa", passed=len(found) - len(bad), failed=tuple(map(_named_by_opa, bad)))


def run_on_regopy(bundle: PolicyBundle, tests: Mapping[str, str]) -> TestRun:
    """Run those tests that regopy can, in processes of their own. Blocks for some seconds."""
    samples = {path: text for path, text in tests.items() if not list(_tests_in(text))}
    bundle = replace(bundle, modules={**bundle.modules, **samples})
    results: dict[str, bool | None] = {}
    unsure: set[str] = set()
    for text in tests.values():
        slices = {name: _slice(text, name) for name in _tests_in(text)}
        whole = _results(bundle, text, list(slices))
        for name, part in slices.items():
            result = whole[name]
            if result is None and not _ENDS_IT.search(part):  # a neighbour ended the process
                result = _results(bundle, part, [name])[name]
            results[name] = result
            if _WITH.search(part):
                unsure.add(name)
    failed = [name for name, result in results.items() if result is False and name not in unsure]
    passed = sum(result is True for result in results.values())
    left_out = [
        name for name, result in results.items() if result is not True and name not in failed
    ]
    return TestRun("regopy", passed, tuple(sorted(failed)), tuple(sorted(left_out)))


def _results(bundle: PolicyBundle, source: str, names: list[str]) -> dict[str, bool | None]:
    """What each test came to; `None` where the process ended before it told."""
    asked = {
        "modules": {**bundle.modules, "tests.rego": source},
        "data": rego_term(dict(bundle.data)),
        "tests": [name.replace(".", "/") for name in names],
    }
    done = _ran([sys.executable, "-P", str(_WORKER)], json.dumps(asked)) if names else None
    told: dict[str, bool | None] = dict.fromkeys(names)
    for line in (done.stdout if done else "").splitlines():
        name, result = json.loads(line)
        told[name.replace("/", ".")] = result
    return told


def _slice(source: str, test: str) -> str:
    """A test module with this test, and the helpers that it is built on."""
    head, *rules = _blocks(source)
    needed, names = set[str](), {test.rpartition(".")[2]}
    while names != needed:
        needed = set(names)
        text = "\n".join(block for block in rules if _rule_of(block) in needed)
        names |= {rule for rule in map(_rule_of, rules) if re.search(rf"\b{rule}\b", text)}
    return "\n\n".join([head, *(block for block in rules if _rule_of(block) in needed)]) + "\n"


def _blocks(source: str) -> list[str]:
    """The head with package and imports, then each rule: `opa fmt` parts them by empty lines."""
    blocks: list[str] = []
    for part in re.split(r"\n\s*\n", source.strip()):
        starts_a_rule = bool(_RULE.match(_without_comments(part))) and not re.match(
            r"import\b", _without_comments(part)
        )
        if blocks and (part[0].isspace() or part[0] in "})]" or not starts_a_rule):
            blocks[-1] += "\n\n" + part
        else:
            blocks.append(part)
    return blocks


def _without_comments(part: str) -> str:
    return "\n".join(line for line in part.splitlines() if not line.startswith("#"))


def _rule_of(block: str) -> str:
    found = _RULE.search(_without_comments(block))
    return found[1] if found else ""


def _tests_in(source: str) -> Iterator[str]:
    package = _package(source)
    names: Iterable[str] = (line[0] for line in re.findall(r"^((test_\w+))", source, re.MULTILINE))
    return (f"{package}.{name}" for name in dict.fromkeys(names))


def _package(source: str) -> str:
    found = _PACKAGE.search(source)
    return found[1] if found else ""


def _named_by_opa(result: Mapping[str, Any]) -> str:
    place = result.get("location") or {}
    package = str(result.get("package", "")).removeprefix("data.")
    return f"{package}.{result.get('name')} ({place.get('file')}:{place.get('row')})"


def _ran(
    command: list[str], text: str, *, cwd: Path | None = None
) -> "subprocess.CompletedProcess[str] | None":
    try:
        return subprocess.run(  # noqa: S603 - our own file, or the operator's own OPA
            command,
            input=text,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
            cwd=cwd,
        )
    except subprocess.TimeoutExpired:
        return None
