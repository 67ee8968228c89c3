"""`make sbom`: what is in the lock is in the CycloneDX file, with its version and hashes."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.fixtures.services import binary_or_skip

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", re.M)
_VALID = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
sys.exit(str(JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read()) or "") or 0)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Made offline, on a machine that has its packages from an index of its own."""
    binary_or_skip(str(ROOT / ".audit" / "bin" / "cyclonedx-py"), "make services")
    folder = tmp_path_factory.mktemp("sbom")
    make = binary_or_skip("make", "apt-get install make")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PIP_INDEX_URL", "UV_INDEX_URL"):
            patch.setenv(name, "https://index.example/simple")
        done = subprocess.run(
            [make, "--no-print-directory", "sbom", f"SBOM={folder}", "SBOM_OF=requirements"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return (folder / "requirements.cdx.json").read_text(encoding="utf-8")


def test_it_is_cyclonedx_by_its_schema(made: str) -> None:
    python = ROOT / ".audit" / "bin" / "python"
    done = subprocess.run(
        [python, "-c", _VALID], input=made, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(made)["specVersion"] == "1.6"


def test_it_has_every_pinned_package_with_its_version_and_hashes(made: str) -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = sorted(_PINNED.findall(lock))
    components: list[dict[str, Any]] = json.loads(made)["components"]
    assert len(pinned) > 100
    assert sorted((one["name"], one["version"]) for one in components) == pinned
    hashes = {
        one["content"]
        for component in components
        for reference in component["externalReferences"]
        for one in reference.get("hashes", ())
    }
    assert hashes == set(re.findall(r"--hash=sha256:([0-9a-f]{64})", lock))


def test_it_does_not_say_where_this_machine_has_its_packages_from(made: str) -> None:
    assert "index.example" not in made
    assert str(ROOT) not in made
    references = [
        reference["url"]
        for component in json.loads(made)["components"]
        for reference in component["externalReferences"]
        if reference["type"] == "distribution"
    ]
    assert len({urlsplit(url).hostname for url in references}) == 1
