import json
from typing import Any

import pytest

from deploy.audit import CLEAN, UNKNOWN, VULNERABLE, verdict

GOOD = {"name": "good", "version": "1", "vulns": []}
BAD = {
    "name": "bad",
    "version": "2",
    "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["3"], "description": "d"}],
}
SKIPPED = {"name": "skipped", "skip_reason": "Dependency not found on PyPI"}


def of(*packages: dict[str, Any]) -> tuple[int, str]:
    return verdict(json.dumps({"dependencies": packages, "fixes": []}), "a.lock")


def test_what_was_checked_and_is_good_is_clean():
    assert of(GOOD) == (CLEAN, "a.lock: 1 packages checked, 0 known vulnerabilities\n")


def test_a_vulnerability_is_named_with_what_mends_it():
    status, told = of(GOOD, BAD)
    assert status == VULNERABLE
    assert "bad 2: PYSEC-1 (CVE-1); mended in 3" in told


def test_a_package_that_was_not_checked_is_not_called_clean():
    status, told = of(GOOD, SKIPPED)
    assert status == UNKNOWN
    assert "NOT AUDITED: 1 of 2 packages" in told
    assert of(BAD, SKIPPED)[0] == VULNERABLE


@pytest.mark.parametrize("found", ["", "{", "[]", "{}", "null", '{"dependencies": []}'])
def test_no_result_is_not_clean(found: str):
    status, told = verdict(found, "a.lock")
    assert status == UNKNOWN
    assert "NOT AUDITED" in told
