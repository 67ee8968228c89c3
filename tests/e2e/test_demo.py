"""`gatehouse demo`: what a new user does in the first ten minutes."""

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from policy_service.cli.demo.processes import is_running
from tests.fixtures.gateway import HOST, eventually, free_ports

NAMES = ("gateway", "policy", "sandbox", "dashboard")


def gatehouse(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "policy_service", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def port_options() -> list[str]:
    ports = free_ports(len(NAMES))
    return [f"--{name}-port={port}" for name, port in zip(NAMES, ports, strict=True)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("demo") / ".demo"
    assert gatehouse("audit", "keys", "--directory", str(folder.parent)).returncode == 0
    setting = f"POLICY_AUDIT_KEY_FILE={folder.parent}/audit-key.pem"
    options = ("--folder", str(folder), "--set", setting, *port_options())
    started = gatehouse("demo", "start", "--detach", *options)
    assert started.returncode == 0, started.stderr
    (folder / "welcome.txt").write_text(started.stdout)
    yield folder
    assert gatehouse("demo", "stop", "--folder", str(folder)).returncode == 0


@pytest.fixture
def demo(folder: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((folder / "demo.json").read_text())
    return state


@pytest.mark.e2e
def test_demo_json_holds_what_a_script_needs(folder: Path, demo: dict[str, Any]) -> None:
    assert set(demo) == {
        *(f"{name}_url" for name in NAMES),
        "keys",
        "admin_token",
        "pids",
    }
    assert set(demo["pids"]) == set(NAMES)
    assert oct((folder / "demo.json").stat().st_mode)[-3:] == "600"


@pytest.mark.e2e
def test_the_service_has_the_settings_that_the_demo_was_started_with(demo: dict[str, Any]) -> None:
    assert httpx.get(f"{demo['policy_url']}/readyz").json()["audit"]["checkpoints"] == "signed"


@pytest.mark.e2e
def test_the_printed_curl_lines_do_what_they_say(folder: Path) -> None:
    welcome = (folder / "welcome.txt").read_text()
    lines = re.findall(r"^  (curl .*?}')$", welcome, flags=re.MULTILINE | re.DOTALL)
    answers = [
        subprocess.run(
            ["/bin/sh", "-c", line], capture_output=True, text=True, check=True, timeout=60
        ).stdout
        for line in lines
    ]
    allowed, streamed, denied, exhausted, message, embeddings = answers
    assert json.loads(allowed)["object"] == "chat.completion"
    assert streamed.startswith("data: {")
    assert streamed.rstrip().endswith("data: [DONE]")
    assert json.loads(denied)["error"]["code"] == "policy_denied"
    assert json.loads(exhausted)["error"]["code"] == "insufficient_quota"
    assert json.loads(message)["type"] == "message"
    assert json.loads(embeddings)["data"][0]["object"] == "embedding"


@pytest.mark.e2e
def test_the_sdk_works_with_and_without_v1_in_the_base_url(demo: dict[str, Any]) -> None:
    for path in ("", "/v1"):
        with openai.OpenAI(
            base_url=f"{demo['gateway_url']}{path}", api_key=demo["keys"]["search"]
        ) as client:
            for is_streaming in (False, True):
                answer: Any = client.chat.completions.create(
                    model="gpt-4o-mini",
                    messages=[{"role": "user", "content": "Hello"}],
                    stream=is_streaming,
                )
                assert list(answer) if is_streaming else answer.choices
            assert "gpt-4o-mini" in {model.id for model in client.models.list()}


@pytest.mark.e2e
def test_a_dear_model_is_served_once_somebody_else_has_approved_it(
    folder: Path, demo: dict[str, Any]
) -> None:
    key, model = demo["keys"]["search"], "claude-opus-4-1"
    hello: list[Any] = [{"role": "user", "content": "Hello"}]
    with openai.OpenAI(base_url=demo["gateway_url"], api_key=key, max_retries=0) as client:
        with pytest.raises(openai.PermissionDeniedError, match="needs an approval"):
            client.chat.completions.create(model=model, messages=hello, max_tokens=5)
        asked = gatehouse(
            *("approvals", "request", "--model", model, "--reason", "a try", "--amount", "1"),
            *("--gateway", demo["gateway_url"], "--api-key", key),
        )
        assert asked.returncode == 0, asked.stderr
        approval_id = asked.stdout.split(":")[0]
        database = f"sqlite:///{folder}/gatehouse.db"
        granted = gatehouse("approvals", "grant", approval_id, "--database-url", database)
        assert granted.returncode == 0, granted.stderr
        assert eventually(lambda: _answered(client, model, hello))


def _answered(client: openai.OpenAI, model: str, messages: list[Any]) -> bool:
    try:
        answer = client.chat.completions.create(model=model, messages=messages, max_tokens=5)
    except openai.PermissionDeniedError:
        return False
    return bool(answer.choices)


@pytest.mark.e2e
def test_a_month_of_usage_is_there_to_look_at(demo: dict[str, Any]) -> None:
    rows = httpx.get(
        f"{demo['policy_url']}/admin/v1/usage/recent",
        params={"limit": 1000},
        headers={"authorization": f"Bearer {demo['admin_token']}"},
    ).json()["rows"]
    assert len(rows) == 1000
    assert {row["team"] for row in rows} >= {"search", "platform", "helpdesk", "campaigns"}
    assert httpx.get(demo["dashboard_url"]).status_code == 200


@pytest.mark.e2e
def test_status_says_what_runs_and_a_second_start_is_refused(folder: Path) -> None:
    status = gatehouse("demo", "status", "--folder", str(folder))
    assert status.returncode == 0
    assert status.stdout.count("running") == len(NAMES)
    again = gatehouse("demo", "start", "--detach", "--folder", str(folder), *port_options())
    assert again.returncode == 1
    assert "runs already" in again.stderr


@pytest.mark.e2e
def test_a_busy_port_is_named_with_the_option_that_changes_it(tmp_path: Path) -> None:
    with socket.socket() as busy:
        busy.bind((HOST, 0))
        busy.listen()
        port = busy.getsockname()[1]
        options = [*port_options(), f"--sandbox-port={port}"]
        refused = gatehouse("demo", "start", "--detach", "--folder", str(tmp_path), *options)
    assert refused.returncode == 1
    said = " ".join(refused.stderr.split())
    assert f"port {port} (sandbox) is in use" in said
    assert "--sandbox-port" in said


@pytest.mark.e2e
def test_ctrl_c_stops_everything(tmp_path: Path) -> None:
    folder = tmp_path / ".demo"
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "policy_service", "demo", "start"),
            *("--folder", str(folder), *port_options()),
        ],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        try:
            state = eventually(lambda: _state(folder), timeout_s=90)
            running.send_signal(signal.SIGINT)
            assert running.wait(timeout=60) == 0
        finally:
            running.kill()
    assert not (folder / "demo.json").exists()
    assert not [name for name, pid in state["pids"].items() if is_running(pid)]


def _state(folder: Path) -> dict[str, Any]:
    path = folder / "demo.json"
    try:
        state: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return state
