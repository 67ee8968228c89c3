"""The Terraform example is in its standard form, and hands the chart values that the chart has."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fixtures.services import binary_or_skip

DEPLOY = Path(__file__).parents[3] / "deploy"
MODULE = DEPLOY / "terraform"
VALUES = yaml.safe_load((DEPLOY / "helm/gatehouse/values.yaml").read_text(encoding="utf-8"))
TEXT = "\n".join(path.read_text(encoding="utf-8") for path in sorted(MODULE.glob("*.tf")))


@pytest.mark.integration
def test_it_is_in_terraforms_standard_form() -> None:
    terraform = binary_or_skip("terraform", "see developer.hashicorp.com", is_required=False)
    checked = subprocess.run(
        [terraform, "fmt", "-check", "-diff", str(MODULE)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_value_is_one_of_the_charts() -> None:
    begun = TEXT.partition("  values = {\n")[2].partition("\n  }\n}")[0]
    values = "\n".join(line.removeprefix("    ") for line in begun.splitlines())
    top = re.findall(r"^(\w+) *= ", values, re.MULTILINE)
    assert len(top) == 8
    assert set(top) <= VALUES.keys()
    for name, body in re.findall(r"^(\w+) = (?:merge\(|\{)\n(.*?)^[)}]", values, re.M | re.S):
        chart: Mapping[str, Any] = VALUES[name]
        given = set(re.findall(r"(?:^ +|[{,] )(\w+) *= ", body, re.MULTILINE))
        assert given
        assert given - {"POLICY_LOG_FORMAT"} <= chart.keys(), name


def test_every_variable_is_declared_described_and_used() -> None:
    declared = re.findall(r'^variable "(\w+)" \{\n  description = "(.+)"$', TEXT, re.MULTILINE)
    used = set(re.findall(r"\bvar\.(\w+)", TEXT))
    assert used == {name for name, _ in declared}
    assert len(declared) == TEXT.count('\nvariable "') + TEXT.startswith('variable "')


def test_no_secret_goes_through_its_state() -> None:
    assert "kubernetes_secret_v1" not in TEXT
    assert 'resource "kubernetes_secret"' not in TEXT
    assert "set_sensitive" not in TEXT
