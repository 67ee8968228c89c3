"""What the documentation tells readers to type works, page by page, beside a running gateway."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
import yaml

from tests.fixtures.answer_headers import answer_headers
from tests.fixtures.company import COMPANY, models
from tests.fixtures.gateway import SECRETS, Gateway, free_ports, start_gateway
from tests.fixtures.guides import ELSEWHERE, NOT_TYPED, WALKS, Walk, why_not
from tests.fixtures.mail_server import start_mail_server
from tests.fixtures.opa_server import opa_binary
from tests.fixtures.pages import PAGES, ROOT, blocks, commands, name_of, typed
from tests.fixtures.reader import Reader
from tests.fixtures.shown import difference

HOST = "127.0.0.1"
METRICS_TOKEN = "metrics-0123456789abcdef0123456789"
_ERROR = re.compile(r'"error": ?\{|^curl: \(|"status": ?[45]\d\d\b', re.MULTILINE)


class _Taking(BaseHTTPRequestHandler):
    """Takes whatever is posted."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def webhook_url() -> Iterator[str]:
    server = HTTPServer((HOST, 0), _Taking)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://{HOST}:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, webhook_url: str) -> Iterator[Path]:
    """A demo with all that pages speak of; gives its folder."""
    place = tmp_path_factory.mktemp("reader")
    ops = {"name": "ops", "kind": "webhook", "url": webhook_url, "secret": "ops_webhook"}
    (place / "alerts.yaml").write_text(yaml.safe_dump({"channels": [ops]}))
    keys = place / "keys"
    _gatehouse("policy", "keys", "--out", str(keys))
    _gatehouse("audit", "keys", "--directory", str(keys))
    ports = zip(("gateway", "policy", "sandbox", "dashboard"), free_ports(4), strict=True)
    with start_mail_server() as mails:
        settings = {
            "POLICY_ALERTS_FILE": str(place / "alerts.yaml"),
            "POLICY_AUDIT_KEY_FILE": str(keys / "audit-key.pem"),
            "POLICY_BUNDLE_KEYS": str(keys / "policy-signing.pub.pem"),
            "POLICY_CREDENTIALS__OPS_WEBHOOK": "webhook-0123456789abcdef",
            "POLICY_METRICS_TOKEN": METRICS_TOKEN,
            "POLICY_REPORT_WEBHOOKS__FINANCE": webhook_url,
            "POLICY_SMTP_URL": f"{mails.url}?tls=none",
            "POLICY_SMTP_FROM": "gatehouse@acme.example",
        }
        given = [f"--{name}-port={port}" for name, port in ports]
        for name, value in settings.items():
            given += ["--set", f"{name}={value}"]
        _gatehouse("demo", "start", "--detach", "--folder", str(place / ".demo"), *given)
        yield place / ".demo"
        _gatehouse("demo", "stop", "--folder", str(place / ".demo"))


def _gatehouse(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "policy_service", *arguments],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def empty_kong(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("empty-kong")
    with start_gateway(folder, company=COMPANY, models=models, has_database=True) as running:
        yield running


@pytest.mark.e2e
@pytest.mark.parametrize("page", sorted(WALKS))
def test_what_a_page_tells_to_type_works(
    page: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    walk = WALKS[page]
    if walk.has_kong:
        gateway: Gateway = request.getfixturevalue("empty_kong")
        urls = (gateway.gateway_url, gateway.policy_url)
        key, token = gateway.keys["team"], SECRETS["POLICY_ADMIN_TOKEN"]
        stands_for = {"http://127.0.0.1:8001": gateway.admin_url}
    else:
        folder: Path = request.getfixturevalue("demo")
        (tmp_path / ".demo").symlink_to(folder)
        shutil.copy(folder / "models.yaml", tmp_path)
        state = json.loads((folder / "demo.json").read_text())
        urls = (state["gateway_url"], state["policy_url"])
        key, token = state["keys"][walk.key], state["admin_token"]
        stands_for = {}
    stands_for |= _stands_for(*urls, key) | dict(walk.stands_for)
    environment = _environment(tmp_path, urls, key, token)
    if walk.is_operator:
        environment |= _of_the_service(folder)
    with Reader(tmp_path, environment, stands_for) as reader:
        _lay_out(ROOT / page, tmp_path, reader)
        for block in typed(ROOT / page):
            if block.language not in walk.languages:
                continue
            said = [_type(reader, walk, one) for one in block.commands if not why_not(one)]
            if block.answer and len(said) == len(block.commands):
                told = "\n".join(said)
                assert difference(block.answer, told) == "", f"{block.commands}\n{told}"


def _type(reader: Reader, walk: Walk, command: str) -> str:
    """Type a command, and what the walk has before it; gives what it said."""
    for begin, first in walk.before.items():
        if command.startswith(begin):
            for one in first:
                reader.type(one)
    said = reader.type(command)
    is_refused = bool(_ERROR.search(said))
    assert is_refused is command.startswith(tuple(walk.refused)), f"{command}\n{said}"
    return said


def _stands_for(gateway_url: str, policy_url: str, key: str) -> dict[str, str]:
    this_month = datetime.now(UTC).replace(day=1)
    last_month = this_month - timedelta(days=1)
    return {
        "https://policy.acme.example": policy_url,
        "https://gatehouse.example.com": policy_url,
        "https://llm.acme.example": gateway_url,
        "http://127.0.0.1:8000": gateway_url,
        "http://127.0.0.1:8100": policy_url,
        "/opt/gatehouse/bin/": "",
        ".venv/bin/": "",
        "gk-...": key,
        "department=research": "department=engineering",
        "2026-12-06T00:00:00Z": f"{datetime.now(UTC) + timedelta(days=7):%Y-%m-%dT%H:%M:%SZ}",
        # The month that is over, whose last day every month has.
        "2026-11-30": f"{last_month:%Y-%m-%d}",
        "2026-11": f"{last_month:%Y-%m}",
        "2026-12": f"{this_month:%Y-%m}",
    }


def _lay_out(page: Path, folder: Path, reader: Reader) -> None:
    """The files that a page speaks of: those that it shows, and the checkout's."""
    for name in ("rego", "deploy"):
        shutil.copytree(ROOT / name, folder / name)
    shown = {"id: acme\n": "company.yaml", "shared:\n": "rules.yaml"}
    for block in blocks(page):
        for begin, name in shown.items():
            if block.language == "yaml" and block.text.startswith(begin):
                (folder / name).write_text(reader.here(block.text), encoding="utf-8")
    if not (folder / "company.yaml").exists():
        shutil.copy(ROOT / "policy_service" / "cli" / "demo" / "company.yaml", folder)


def _environment(folder: Path, urls: tuple[str, str], key: str, token: str) -> dict[str, str]:
    home = folder / "home"
    home.mkdir()
    paths = (Path(sys.executable).parent, Path(opa_binary()).parent)
    return {
        "PATH": os.pathsep.join([*map(str, paths), os.defpath]),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "SERVER": urls[1],
        "TOKEN": token,
        "GATEHOUSE_SERVER": urls[1],
        "GATEHOUSE_TOKEN": token,
        "KEY": key,
        "GATEHOUSE_API_KEY": key,
        "GATEHOUSE_KEY": key,
        "POLICY_ADMIN_TOKEN": token,
        "METRICS_TOKEN": METRICS_TOKEN,
    }


def _of_the_service(folder: Path) -> dict[str, str]:
    """The demo's own settings of its policy service."""
    known = json.loads((folder / "secrets.json").read_text())
    models = yaml.safe_load((folder / "models.yaml").read_text())["models"]
    credentials = {one["credential"] for model in models for one in model["deployments"]}
    return {
        **{f"POLICY_CREDENTIALS__{name.upper()}": "any" for name in credentials},
        "POLICY_INTERNAL_SECRET": known["internal_secret"],
        "POLICY_TICKET_SECRET": known["ticket_secret"],
        "POLICY_MODELS_FILE": str(folder / "models.yaml"),
        "POLICY_DATABASE_URL": f"sqlite:///{folder / 'gatehouse.db'}",
        "POLICY_METRICS_TOKEN": METRICS_TOKEN,
    }


_WAYS = {"direct": ("gpt-4o-mini", False), "relay, whole": ("gpt-4o", False)}
_WAYS["relay, streamed"] = ("gpt-4o", True)


@pytest.mark.e2e
@pytest.mark.parametrize("way", _WAYS)
def test_an_answer_has_the_headers_that_the_table_says(demo: Path, way: str) -> None:
    state = json.loads((demo / "demo.json").read_text())
    model, streams = _WAYS[way]
    answer = httpx.post(
        f"{state['gateway_url']}/v1/chat/completions",
        headers={"authorization": f"Bearer {state['keys']['search']}"},
        json={"model": model, "stream": streams, "messages": [{"role": "user", "content": "Hi"}]},
        timeout=60,
    )
    assert answer.status_code == httpx.codes.OK, answer.text
    told = answer_headers(way)
    ours = {name for name in answer.headers if name.startswith(("x-gatehouse", "x-kong-llm"))}
    assert ours <= told.keys()
    for name, when in told.items():
        if when == "yes" or "if limited" in when:
            assert name in ours | answer.headers.keys(), name
        elif when == "no":
            assert name not in answer.headers, name
        elif values := re.findall(r"`(\w+)`", when):
            assert answer.headers[name] in values, name


def test_every_command_of_every_page_is_typed_somewhere_or_it_says_why_not() -> None:
    untyped = {
        f"{name_of(page)}: {command}"
        for page in PAGES
        if name_of(page) not in {*WALKS, *ELSEWHERE}
        for command in commands(page)
        if not why_not(command)
    }
    assert untyped == set()
    assert all((ROOT / test).exists() for test in ELSEWHERE.values())


def test_every_reason_not_to_type_a_command_is_needed() -> None:
    written = [command for page in PAGES for command in commands(page)]
    assert [begin for begin in NOT_TYPED if not any(re.match(begin, one) for one in written)] == []
