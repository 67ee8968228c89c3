"""The threat model is true: each threat has a test, and the code is as it says."""

import ast
import re
from functools import cache
from pathlib import Path

from tests.contract.test_docs import ROOT, TEST_FOLDERS, read, rows, table

PAGE = "docs/security.md"
PACKAGES = ("llm_core", "kong_plugins", "policy_service", "dashboard")
_SECRET = re.compile(r"(^|_)(secret|password|token|signature|api_key|key_text|bearer)$")
CALLS = {
    *(f"httpx.{name}" for name in ("AsyncClient", "Client", "get", "post", "request", "stream")),
    *("aiohttp.ClientSession", "urllib.request.urlopen", "urlopen", "requests.get"),
}
CALLERS = {
    "kong_plugins/_runtime/policy_client.py",
    "dashboard/api/client.py",
    "policy_service/adapters/channels/posting.py",
    "policy_service/adapters/google_service_account.py",
    "policy_service/adapters/http_pool.py",
    "policy_service/adapters/http_probe.py",
    "policy_service/adapters/oidc/tokens.py",
    "policy_service/adapters/policies/askers.py",
    "policy_service/adapters/sinks/webhook.py",
}
"""Who calls other servers while calls are served; each takes its address from an operator."""


def test_every_threat_is_met_and_shown() -> None:
    threats = rows(table(PAGE, "threats"))
    assert len(threats) > 30
    for threat, countermeasure, shown in threats:
        assert countermeasure, threat
        named = re.findall(r"`tests/(\w+)/[\w/]+\.py::test_\w+`", shown)
        assert named, threat
        assert set(named) <= {*TEST_FOLDERS}, threat


def test_every_test_of_the_threat_model_exists() -> None:
    for path, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", read(PAGE)):
        assert re.search(rf"^ *(async )?def {name}\(", read(path), re.MULTILINE), f"{path}::{name}"


@cache
def modules() -> tuple[tuple[str, ast.Module], ...]:
    return tuple(
        (str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8")))
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    )


def test_no_secret_is_compared_letter_by_letter() -> None:
    found = [
        f"{path}:{node.lineno}: {ast.unparse(node)}"
        for path, module in modules()
        for node in ast.walk(module)
        if isinstance(node, ast.Compare)
        and any(isinstance(one, ast.Eq | ast.NotEq) for one in node.ops)
        and any(is_secret(side) for side in (node.left, *node.comparators))
    ]
    assert found == []


def is_secret(side: ast.expr) -> bool:
    name = side.attr if isinstance(side, ast.Attribute) else getattr(side, "id", "")
    return _SECRET.search(name) is not None


def test_who_calls_other_servers_is_known() -> None:
    """A new one has to be looked at: where does its address come from?"""
    found = {
        path
        for path, module in modules()
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in CALLS
    }
    serving = {path for path in found if not path.startswith("policy_service/cli/")}
    assert serving == CALLERS


def test_no_redirect_is_followed() -> None:
    for path in sorted(CALLERS):
        assert "follow_redirects=True" not in Path(ROOT / path).read_text(encoding="utf-8")
