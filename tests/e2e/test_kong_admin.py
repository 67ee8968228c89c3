"""`gatehouse kong enable`, `check` and `disable`: on an empty Kong, beside others' entities."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml
from typer.testing import CliRunner

from policy_service.cli import app
from policy_service.cli.doctor.findings import State
from tests.fixtures.company import COMPANY, models
from tests.fixtures.gateway import Gateway, eventually, start_gateway

CHAT = json.dumps(
    {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}
).encode()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("filled")
    with start_gateway(folder, company=COMPANY, models=models, has_database=True) as running:
        yield running


def kong(gateway: Gateway, command: str, *options: str, code: int = 0) -> str:
    arguments = ["kong", command, "--admin-url", gateway.admin_url, *options]
    if command == "enable":
        arguments += ["--kong-yaml", str(gateway.prefix.parent / "kong.yaml")]
    ran = CliRunner().invoke(app, arguments)
    assert ran.exit_code == code, ran.output
    return " ".join(ran.output.split())


def names(gateway: Gateway, kind: str) -> list[str]:
    data = httpx.get(f"{gateway.admin_url}/{kind}").json()["data"]
    return sorted(str(one["name"]) for one in data)


def put(gateway: Gateway, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = httpx.put(f"{gateway.admin_url}{path}", json=body)
    answer.raise_for_status()
    told: dict[str, Any] = answer.json()
    return told


def test_a_kong_is_enabled_checked_and_left_as_it_was(gateway: Gateway) -> None:
    put(gateway, "/services/theirs", {"url": "http://127.0.0.1:9"})
    put(gateway, "/routes/theirs", {"paths": ["/theirs"], "service": {"name": "theirs"}})
    assert gateway.post(CHAT).status_code == 404

    shown = kong(gateway, "enable", "--dry-run")
    assert "+ plugin llm-token-meter on route llm-chat-completions" in shown
    assert shown.endswith("23 changes would be made.")
    assert gateway.post(CHAT).status_code == 404

    assert kong(gateway, "enable").endswith("23 changes were made.")
    # A plugin's first call of all waits for its tokenizer.
    eventually(lambda: gateway.post(CHAT).status_code == 200)
    assert kong(gateway, "enable") == "Nothing is to be changed."
    shipped = CliRunner().invoke(
        app, ["kong", "enable", "--admin-url", gateway.admin_url, "--dry-run"]
    )
    assert shipped.exit_code == 0, shipped.output
    assert "~ service" not in shipped.output, "where it points to was not said again"
    assert "policy_url" not in shipped.output

    options = ("--proxy-url", gateway.gateway_url, "--key", gateway.keys["team"], "--probe")
    options += ("--model", "slow-openai", "--kong-prefix", str(gateway.prefix))
    ran = CliRunner().invoke(
        app,
        ["kong", "check", "--admin-url", gateway.admin_url, *options, "--json"],
    )
    found = {one["part"]: one for one in json.loads(ran.stdout)}
    assert [one for one in found.values() if one["state"] != State.GOOD] == []
    assert {
        "plugins loaded", "order", "routes", "secrets", "body sizes", "timeouts", "long prompts",
        "closed without a key", "closed to forged tickets", "call", "streaming",
        "closed when plugins are away", "closed when the service is away",
    } < set(found)  # fmt: skip
    assert len(names(gateway, "routes")) == 11, "the check's own routes are gone"

    assert kong(gateway, "disable", "--dry-run").endswith("23 changes would be made.")
    assert kong(gateway, "disable").endswith("23 changes were made.")
    assert gateway.post(CHAT).status_code == 404
    assert (names(gateway, "services"), names(gateway, "routes")) == (["theirs"], ["theirs"])
    assert names(gateway, "plugins") == []
    assert kong(gateway, "disable") == "Nothing is to be changed."


def test_what_differs_is_changed_and_what_is_not_ours_stays(gateway: Gateway) -> None:
    kong(gateway, "enable", "--route", "/v1/chat/completions", "--host", "llm.example")
    assert gateway.post(CHAT).status_code == 404
    eventually(lambda: gateway.post(CHAT, host="llm.example").status_code == 200)
    try:
        hidden = kong(gateway, "enable", "--policy-secret", "a-secret-in-clear-0123", "--dry-run")
        assert "a-secret" not in hidden
        assert "policy_secret: {vault://env/gatehouse-internal-secret} → (hidden)" in hidden

        plugin = {"name": "key-auth", "route": {"name": "llm-chat-completions"}}
        theirs = put(gateway, "/plugins/6f3c1c4e-0a58-4f57-8f0d-1d1f2f6a7a01", plugin)
        refused = kong(gateway, "disable", code=1)
        assert "key-auth on route llm-chat-completions" in refused
        httpx.delete(f"{gateway.admin_url}/plugins/{theirs['id']}").raise_for_status()
        assert gateway.post(CHAT, host="llm.example").status_code == 200
    finally:
        kong(gateway, "disable")


def test_a_name_that_is_taken_is_left_alone(gateway: Gateway) -> None:
    put(gateway, "/services/gatehouse", {"url": "http://127.0.0.1:9"})
    try:
        refused = kong(gateway, "enable", code=1)
        assert "service gatehouse that is not ours" in refused
        assert names(gateway, "plugins") == []
    finally:
        httpx.delete(f"{gateway.admin_url}/services/gatehouse").raise_for_status()


def test_without_a_database_the_file_is_the_way(embedded: Gateway) -> None:
    assert "gatehouse kong declare" in kong(embedded, "enable", code=1)
    assert "declarative_config" in kong(embedded, "disable", code=1)
    checked = kong(embedded, "check", "--proxy-url", embedded.gateway_url, "--probe")
    assert "so a Kong with a database" in checked


CLOSED = {
    "relay closed without a ticket": "503 undecided",
    "relay closed to forged tickets": "503 undecided",
    "closed when llm-auth hangs": "calls are refused with 503",
    "closed when llm-token-meter hangs": "calls are refused with 503",
    "closed when llm-provider-transform hangs": "The relay serves the call itself",
}


def test_a_kong_without_a_database_is_shown_closed_as_well(embedded: Gateway) -> None:
    arguments = ["kong", "check", "--admin-url", embedded.admin_url, "--json", "--probe"]
    arguments += ["--proxy-url", embedded.gateway_url, "--kong-prefix", str(embedded.prefix)]
    arguments += ["--key", embedded.keys["team"], "--model", "gpt-4o-mini"]
    ran = CliRunner().invoke(app, arguments)
    found = {one["part"]: one for one in json.loads(ran.stdout)}
    for part, said in CLOSED.items():
        assert found[part]["state"] == State.GOOD, found[part]
        assert said in found[part]["what"]
    assert "llm-auth is paused for a moment" in ran.stderr
    eventually(lambda: embedded.post(CHAT).status_code == 200)  # each goes on


def test_no_plugin_server_is_paused_unasked(embedded: Gateway) -> None:
    prefix = ("--kong-prefix", str(embedded.prefix), "--proxy-url", embedded.gateway_url)
    told = kong(embedded, "check", *prefix)
    assert "Ask for it with --probe and --kong-prefix" in told
    assert "llm-auth is paused" not in told


def test_the_declared_file_is_what_the_gateway_runs_with(embedded: Gateway) -> None:
    path = embedded.prefix.parent / "kong.yaml"
    ran = CliRunner().invoke(app, ["kong", "declare", "--kong-yaml", str(path)])
    declared = yaml.safe_load(ran.stdout)
    [service] = declared["services"]
    assert service["tags"] == ["gatehouse"]
    assert len(service["routes"]) == len(yaml.safe_load(path.read_text())["services"][0]["routes"])
