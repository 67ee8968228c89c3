"""What `docs/policy.md` shows works: its rule, its test, its commands."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from policy_service.adapters.policy_bundle import load_bundle
from policy_service.adapters.regopy_policy import RegopyPolicy
from tests.fixtures.opa_server import opa_binary
from tests.fixtures.policy_inputs import chat_input

pytestmark = pytest.mark.integration

GUIDE = (Path(__file__).parents[3] / "docs" / "policy.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", GUIDE, re.DOTALL)


@pytest.fixture
def repository(rego: Path, tmp_path: Path) -> Path:
    """A copy of the policy with the guide's example in it."""
    shutil.copytree(rego, tmp_path / "rego")
    for language, block in BLOCKS:
        if language == "rego":
            path, _, source = block.partition("\n")
            file = tmp_path / path.removeprefix("# ")
            file.parent.mkdir(exist_ok=True)
            file.write_text(source, encoding="utf-8")
    main = tmp_path / "rego" / "llm" / "main" / "main.rego"
    source = main.read_text(encoding="utf-8")
    source = source.replace(
        "import data.llm.request", "import data.llm.request\nimport data.llm.residency"
    )
    main.write_text(source.replace("\tbudgets.deny,\n", "\tbudgets.deny,\n\tresidency.deny,\n"))
    return tmp_path


def _commands() -> list[str]:
    consoles = "".join(block for language, block in BLOCKS if language == "console")
    lines = consoles.replace("\\\n", " ").splitlines()
    return [line.removeprefix("$ ") for line in lines]


@pytest.mark.parametrize(
    "command", [command for command in _commands() if not re.match(r"pytest|opa run", command)]
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
    document["call"]["data_labels"] = ["personal"]
    document["candidates"][0]["region"] = "us-east-1"
    result = await policy.evaluate(document)
    assert result.permitted == ("cheap", "free")
    assert [reason.code for reason in result.reasons] == ["outside_eu"]
    await policy.close()


def test_every_reason_code_is_in_the_guide(rego: Path) -> None:
    for rules in rego.glob("llm/*/*.rego"):
        for code in re.findall(
            r"^#   code: (\w+)$", rules.read_text(encoding="utf-8"), re.MULTILINE
        ):
            assert f"`{code}`" in GUIDE, code
